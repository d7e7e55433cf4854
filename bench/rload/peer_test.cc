// Aim: what rivals answer is counted right, also when it arrives in pieces, and what is wrong is told and not counted.
// Method: RabbitMQ's answers written down as bytes (taken from 3.10.8), cut at every length.
#include "bench/rload/peer.h"

#include <gtest/gtest.h>

namespace mr::bench {
namespace {

using namespace std::string_literals;

std::string framed(std::string_view content) {
  std::string out("\0\0"s);
  out += static_cast<char>(content.size() >> 8);
  out += static_cast<char>(content.size());
  return out.append(content);
}

std::string confirm(unsigned count) {
  std::string out("\0\x03\0\x01\0\0\0"s);
  out += static_cast<char>(count >> 8);
  out += static_cast<char>(count);
  return framed(out + std::string(std::size_t{count} * 8, '\7'));
}

std::string answer(char key, char code) { return framed("\x80"s + key + "\0\x01\0\0\0\0\0"s + code); }

const std::string kTune = framed("\0\x14\0\x01\0\x10\0\0\0\0\0\x3c"s);

std::unique_ptr<Peer> rabbit(std::size_t batch = 1) { return rabbit_peer("s", 5, batch); }

std::string refusal(std::string_view received) { return std::string(rabbit()->take(received).refusal); }

TEST(RabbitPeer, CutFramesAreWaitedFor) {
  for (const std::string& whole : {confirm(128), answer('\x11', 1), kTune}) {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      Peer::Taken taken = rabbit()->take(std::string_view(whole).substr(0, n));
      EXPECT_EQ(taken.bytes, 0U) << n;
      EXPECT_EQ(taken.refusal, "") << n;
    }
    EXPECT_EQ(rabbit()->take(whole + confirm(1)).bytes, whole.size());
  }
}

TEST(RabbitPeer, AConfirmationCountsItsMessages) {
  for (unsigned n : {0U, 1U, 50U, 300U}) {
    Peer::Taken taken = rabbit(50)->take(confirm(n));
    EXPECT_EQ(taken.answered, n);
    EXPECT_EQ(taken.refusal, "");
  }
}

TEST(RabbitPeer, CountsThatTheirFrameDoesNotHoldAreRefused) {
  std::string more = framed("\0\x03\0\x01\0\xff\xff\xff\xff\0\0\0\0\0\0\0\7"s);
  std::string wraps = framed("\0\x03\0\x01\0\x20\0\0\0"s);
  std::string less = framed("\0\x03\0\x01\0\0\0\0\x01"s + std::string(16, '\7'));
  for (const std::string& wrong : {more, wraps, less, framed("\0\x03\0\x01\0\0"s)}) {
    EXPECT_EQ(refusal(wrong), "a confirmation of another size than its count");
    EXPECT_EQ(rabbit()->take(wrong).answered, 0U);
  }
}

TEST(RabbitPeer, FramesOfImpossibleSizesAreRefusedAtOnce) {
  EXPECT_EQ(refusal("\xff\xff\xff\xff"s), "a frame larger than agreed on");
  EXPECT_EQ(refusal("\0\x10\0\x01"s), "a frame larger than agreed on");
  EXPECT_EQ(refusal("\0\x10\0\0"s), "");
  EXPECT_EQ(refusal("\0\0\0\0"s), "a frame without a command");
  EXPECT_EQ(refusal(framed("\x80\x11\0\x01\0\0\0\0\0"s)), "an answer without a code");
}

// A step of hello has one answer: to the login it is the offer to tune, which comes behind the answer.
TEST(RabbitPeer, StepsOfHelloHaveOneAnswerEach) {
  auto answered = [](const std::string& bytes) { return rabbit()->take(bytes).answered; };
  EXPECT_EQ(answered(answer('\x11', 1)), 1U);
  EXPECT_EQ(answered(answer('\x13', 1)), 0U);
  EXPECT_EQ(answered(kTune), 1U);
  EXPECT_EQ(answered(answer('\x0d', 1)), 1U);
  EXPECT_EQ(answered(answer('\x0d', 5)), 1U) << "the stream is there already";
  EXPECT_EQ(answered(framed("\0\x17\0\x01"s)), 0U) << "a heartbeat";
  EXPECT_EQ(refusal(answer('\x0d', 1) + answer('\x13', 1) + kTune + framed("\0\x17\0\x01"s)), "");
}

TEST(RabbitPeer, RefusalsAreTold) {
  EXPECT_EQ(refusal(answer('\x13', 8)), "authentication failed");
  EXPECT_EQ(refusal(answer('\x01', 2)), "no such stream");
  EXPECT_EQ(refusal(answer('\x01', 5)), "stream exists");
  EXPECT_EQ(refusal(answer('\x0d', 99)), "an unknown error");
  EXPECT_EQ(refusal(framed("\0\x04\0\x01\7\0\0\0\x01\0\0\0\0\0\0\0\x09\0\x12"s)), "no such publisher");
  EXPECT_EQ(refusal(framed("\0\x10\0\x01\0\x06\0\x01s"s)), "stream not available");
  EXPECT_EQ(refusal(framed("\0\x16\0\x01\0\0\0\x01\0\x0d\0\x0dunknown frame"s)), "unknown frame");
  EXPECT_EQ(refusal(framed("\0\x08\0\x01"s)), "a command that nobody asked for");
}

TEST(RabbitPeer, AFrameCarriesABatch) {
  std::string one = "\0\0\0\x05xxxxx"s;
  std::string ids[] = {"\0\0\0\0\0\0\0\0"s, "\0\0\0\0\0\0\0\x01"s};
  EXPECT_EQ(rabbit(2)->publish(0), framed("\0\x02\0\x01\0\0\0\0\x02"s + ids[0] + one + ids[1] + one));
  EXPECT_EQ(rabbit(2)->messages_each(), 2U);
  EXPECT_EQ(rabbit(50)->publish(3).size(), 4U + 9 + std::size_t{50} * (8 + 4 + 5));
}

TEST(RabbitPeer, SaysHelloInSteps) {
  std::vector<std::string> hello = rabbit()->hello(0);
  ASSERT_EQ(hello.size(), 6U);
  EXPECT_EQ(hello[2], framed("\0\x13\0\x01\0\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest"s));
  EXPECT_EQ(hello[3], framed("\0\x14\0\x01\0\x10\0\0\0\0\0\0"s) + framed("\0\x15\0\x01\0\0\0\0\0\x01/"s));
  EXPECT_EQ(hello[5], framed("\0\x01\0\x01\0\0\0\0\0\0\0\0\x01s"s));
}

// What the others answer is cut and counted as it was.
TEST(OtherPeers, AnswersAreCounted) {
  std::string reply = "$3\r\n1-0\r\n";
  std::string ack = "MSG _INBOX.rload.0 1 4\r\n{\"a\"\r\n";
  for (std::size_t n = 0; n < reply.size(); ++n) EXPECT_EQ(redis_peer("s", 1)->take(reply.substr(0, n)).bytes, 0U);
  for (std::size_t n = 0; n < ack.size(); ++n) EXPECT_EQ(nats_peer("s", 1)->take(ack.substr(0, n)).bytes, 0U);
  EXPECT_EQ(redis_peer("s", 1)->take(reply).answered, 1U);
  EXPECT_EQ(redis_peer("s", 1)->take("-ERR no\r\n").refusal, "ERR no");
  EXPECT_EQ(nats_peer("s", 1)->take(ack).answered, 1U);
  EXPECT_EQ(nats_peer("s", 1)->take("INFO {}\r\n").answered, 0U);
}

}  // namespace
}  // namespace mr::bench
