// Aim: what leaves a connection is in order and counted once it has left, and never before. Method: a scripted stream
// that notes what it is given and fails where it is told to.
#include "server/kafka/outgoing.h"

#include <gtest/gtest.h>

#include "sim/world.h"

namespace mr::server::kafka {
namespace {

class NotingStream final : public Stream {
 public:
  Task<Result<std::size_t>> read_some(MutableBytes, TimePoint) override { co_return Errc::connection_closed; }
  Task<Result<void>> write(std::span<const ByteView> pieces, TimePoint, bool more) override {
    for (ByteView piece : pieces) sent += as_text(piece);
    sent += more ? "+" : "|";
    co_return write_fails ? Result<void>(*write_fails) : Result<void>();
  }
  Task<Result<void>> send_file(File&, std::uint64_t position, std::uint64_t length, TimePoint) override {
    sent += "[" + std::to_string(position) + "," + std::to_string(length) + "]";
    co_return file_fails ? Result<void>(*file_fails) : Result<void>();
  }
  void close() override {}
  const Address& local() const override { return address_; }
  const Address& remote() const override { return address_; }

  std::string sent;
  std::optional<Errc> write_fails;
  std::optional<Errc> file_fails;

 private:
  Address address_;
};

struct Fixture {
  sim::World world{{.seed = 1}};
  sim::Process& process{world.add_host("b").start(1)};
  std::unique_ptr<File> file{*process.env(ShardId{0}).files.open("/f", OpenMode::create)};
  NotingStream stream;
  Outgoing out{stream};

  void add(std::string_view text) { out.add(as_bytes(text)); }
  Result<void> send_file(std::uint64_t length) {
    return world.run(process, ShardId{0}, out.send_file(*file, 7, length, kForever));
  }
  Result<std::uint64_t> flush() { return world.run(process, ShardId{0}, out.flush(kForever)); }
};

TEST(Outgoing, InOrderAndCountedOnce) {
  Fixture f;
  f.add("ab");
  f.add("c");
  EXPECT_TRUE(f.send_file(10).ok());
  f.add("de");
  EXPECT_EQ(*f.flush(), 15u);
  EXPECT_EQ(f.stream.sent, "abc+[7,10]de|");
  EXPECT_EQ(*f.flush(), 0u);
  f.add("f");
  EXPECT_EQ(*f.flush(), 1u);
  EXPECT_EQ(f.stream.sent, "abc+[7,10]de|f|");
}

// The connection flushes what is in front of an answer that failed, so a flush may follow a failed file.
TEST(Outgoing, WhatAFailedFileLeftBehindDoesNotCountAsSent) {
  Fixture f;
  f.add("head");
  f.stream.file_fails = Errc::timed_out;
  EXPECT_EQ(f.send_file(1000).code(), Errc::timed_out);
  EXPECT_EQ(*f.flush(), 0u);
  EXPECT_TRUE(f.out.unread());
  EXPECT_EQ(f.stream.sent, "head+[7,1000]");
}

TEST(Outgoing, WhoDidNotReadIsToldFromWhoLeft) {
  for (Errc why : {Errc::timed_out, Errc::connection_closed}) {
    for (bool with_file : {false, true}) {
      Fixture f;
      f.add("answer");
      f.stream.write_fails = why;
      EXPECT_EQ(with_file ? f.send_file(5).code() : f.flush().code(), why);
      EXPECT_EQ(f.out.unread(), why == Errc::timed_out);
      EXPECT_EQ(*f.flush(), 0u);
    }
  }
}

}  // namespace
}  // namespace mr::server::kafka
