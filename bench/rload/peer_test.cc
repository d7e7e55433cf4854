// Aim: what rivals answer is counted right, also when it arrives in pieces, and what is wrong is told and not counted.
// Method: RabbitMQ's answers written down as bytes (taken from 3.10.8), cut at every length. Readers are given a
// stream's two passes in pieces of every size.
#include "bench/rload/peer.h"

#include <fmt/format.h>
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

struct Heard {
  std::size_t messages = 0;
  std::string ask, refusal;
};

/// What a reader makes of `received` when it comes in pieces of `piece` bytes.
Heard hear(Reader& reader, const std::string& received, std::size_t piece) {
  Heard heard;
  std::string left;
  for (std::size_t at = 0; at < received.size() && heard.refusal.empty(); at += piece) {
    left += received.substr(at, piece);
    while (!left.empty()) {
      Reader::Got got = reader.take(left, heard.ask);
      heard.refusal = got.refusal;
      if (got.bytes == 0 || !got.refusal.empty()) break;
      heard.messages += got.messages;
      left.erase(0, got.bytes);
    }
  }
  EXPECT_TRUE(left.empty() || !heard.refusal.empty());
  return heard;
}

std::string xread(unsigned first, unsigned count, std::string_view payload = "xxxxx") {
  std::string out = fmt::format("*1\r\n*2\r\n$1\r\ns\r\n*{}\r\n", count);
  for (unsigned i = first; i < first + count; ++i) {
    std::string id = fmt::format("7-{}", i);
    out += fmt::format("*2\r\n${}\r\n{}\r\n*2\r\n$1\r\nv\r\n${}\r\n{}\r\n", id.size(), id, payload.size(), payload);
  }
  return out;
}

TEST(RedisReader, AsksFromTheLastIdAndBeginsAgain) {
  for (std::size_t piece : {1U, 7U, 1000000U}) {
    auto reader = redis_peer("s", 5)->reader(0, 4);
    std::string first = "*6\r\n$5\r\nXREAD\r\n$5\r\nCOUNT\r\n$4\r\n1000\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\n0\r\n";
    EXPECT_EQ(reader->begin(), first);
    for (int pass = 0; pass < 2; ++pass) {
      Heard half = hear(*reader, xread(0, 3), piece);
      EXPECT_EQ(half.messages, 3U);
      EXPECT_TRUE(half.ask.ends_with("$1\r\ns\r\n$3\r\n7-2\r\n")) << half.ask;
      Heard rest = hear(*reader, xread(3, 1), piece);
      EXPECT_EQ(rest.messages, 1U);
      EXPECT_EQ(rest.ask, first);
    }
  }
}

TEST(RedisReader, WhatIsWrongIsTold) {
  auto refusal = [](const std::string& said) {
    auto reader = redis_peer("s", 5)->reader(0, 4);
    (void)reader->begin();
    return hear(*reader, said, 3).refusal;
  };
  EXPECT_EQ(refusal("-ERR no\r\n"), "ERR no");
  EXPECT_EQ(refusal("*-1\r\n"), "the stream ends before the messages do");
  EXPECT_EQ(refusal(xread(0, 1, "xxxx")), "a message of another size");
  EXPECT_EQ(refusal(":1\r\n"), "an answer to XREAD that is none");
}

TEST(NatsReader, PullsTwoHalvesAheadAndTakesAnotherConsumerForTheNextPass) {
  std::string made = R"({"type":"x","stream_name":"s","name":"C1","config":{}})";
  std::string answer = fmt::format("MSG _INBOX.rload.0 1 {}\r\n{}\r\n", made.size(), made);
  std::string one = "MSG s 1 $JS.ACK.s.C1.1.1.1.1.1 5\r\nxxxxx\r\n";
  std::string pull = "PUB $JS.API.CONSUMER.MSG.NEXT.s.C1 _INBOX.rload.0 13\r\n{\"batch\":500}\r\n";
  for (std::size_t piece : {1U, 7U, 1000000U}) {
    auto reader = nats_peer("s", 5)->reader(0, 1500);
    std::string first = reader->begin();
    EXPECT_TRUE(first.starts_with("PUB $JS.API.CONSUMER.CREATE.s _INBOX.rload.0 ")) << first;
    EXPECT_EQ(hear(*reader, answer, piece).ask, pull + pull);
    auto deliver = [&](unsigned count) {
      std::string all;
      for (unsigned i = 0; i < count; ++i) all += one;
      return hear(*reader, all, piece);
    };
    EXPECT_EQ(deliver(499).ask, "");
    EXPECT_EQ(deliver(1).ask, pull);
    EXPECT_EQ(deliver(500).ask, "") << "all are asked for";
    Heard last = deliver(500);
    EXPECT_EQ(last.messages, 500U);
    EXPECT_EQ(last.ask, "PUB $JS.API.CONSUMER.DELETE.s.C1 _INBOX.rload.0 0\r\n\r\n" + first);
    EXPECT_EQ(hear(*reader, "MSG _INBOX.rload.0 1 16\r\n{\"success\":true}\r\n", piece).ask, "") << "it has no name";
    EXPECT_EQ(hear(*reader, answer, piece).ask, pull + pull);
  }
}

TEST(NatsReader, WhatIsWrongIsTold) {
  auto refusal = [](const std::string& said) { return hear(*nats_peer("s", 5)->reader(0, 1000), said, 3).refusal; };
  EXPECT_EQ(refusal("-ERR 'no'\r\n"), "-ERR 'no'");
  EXPECT_EQ(refusal("MSG _INBOX.rload.0 1 11\r\n{\"error\":1}\r\n"), "{\"error\":1}");
  EXPECT_EQ(refusal("MSG s 1 x 4\r\nxxxx\r\n"), "a message of another size");
  EXPECT_EQ(refusal("PING\r\n"), "");
}

/// A delivery of so many messages of five bytes, as RabbitMQ makes them: a size, then the message.
std::string chunk(unsigned char subscription, unsigned char messages) {
  auto data = static_cast<char>(messages * 9);
  std::string content = "\0\x08\0\x01"s + static_cast<char>(subscription) + "\x50\0\0"s + static_cast<char>(messages) +
                        "\0\0\0"s + static_cast<char>(messages) + std::string(8 + 8 + 8 + 4, '\1') + "\0\0\0"s + data +
                        std::string(8, '\0');
  for (unsigned i = 0; i < messages; ++i) content += "\0\0\0\x05xxxxx"s;
  return framed(content);
}

TEST(RabbitReader, GivesCreditBackAndSubscribesAgain) {
  for (std::size_t piece : {1U, 7U, 1000000U}) {
    auto reader = rabbit()->reader(0, 7);
    EXPECT_EQ(reader->begin(), framed("\0\x07\0\x01\0\0\0\0\x01\0\x01s\0\x01\0\x0a\0\0\0\0"s));
    Heard some = hear(*reader, answer('\x07', 1) + chunk(1, 5), piece);
    EXPECT_EQ(some.messages, 5U);
    EXPECT_EQ(some.ask, framed("\0\x09\0\x01\x01\0\x01"s));
    Heard rest = hear(*reader, chunk(1, 2), piece);
    EXPECT_EQ(rest.messages, 2U);
    EXPECT_EQ(rest.ask,
              framed("\0\x0c\0\x01\0\0\0\0\x01"s) + framed("\0\x07\0\x01\0\0\0\0\x02\0\x01s\0\x01\0\x0a\0\0\0\0"s));
    EXPECT_EQ(hear(*reader, answer('\x0c', 1) + answer('\x07', 1) + framed("\0\x17\0\x01"s), piece).refusal, "");
  }
}

TEST(RabbitReader, WhatIsWrongIsTold) {
  auto refusal = [](const std::string& said) { return hear(*rabbit()->reader(0, 7), said, 3).refusal; };
  EXPECT_EQ(refusal(answer('\x07', 2)), "no such stream");
  EXPECT_EQ(refusal(framed("\x80\x09\0\x01\0\x04\1"s)), "no such subscription");
  EXPECT_EQ(refusal(chunk(1, 8)), "more messages than were to be read");
  std::string less = chunk(1, 2);
  less[16] = '\7';  // of the messages that it says it has
  EXPECT_EQ(refusal(less), "a chunk too small for its messages");
  EXPECT_EQ(refusal("\xff\xff\xff\xff"s), "a frame larger than agreed on");
  EXPECT_EQ(refusal(confirm(1)), "a command that nobody asked for");
}

}  // namespace
}  // namespace mr::bench
