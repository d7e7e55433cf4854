// Aim: frames come out whole and in order however the stream is cut, nothing is taken before a size is checked, and the
// memory budget holds. Method: a scripted stream that hands out a byte string in pieces of seeded sizes.
#include "server/kafka/frame_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "sim/world.h"

namespace mr::server::kafka {
namespace {

/// A peer that only sends.
class SendingPeer : public Stream {
 public:
  Task<Result<void>> write(std::span<const ByteView>, TimePoint, bool) override { co_return Errc::connection_closed; }
  Task<Result<void>> send_file(File&, std::uint64_t, std::uint64_t, TimePoint) override {
    co_return Errc::connection_closed;
  }
  void close() override {}
  const Address& local() const override { return address_; }
  const Address& remote() const override { return address_; }

 private:
  Address address_;
};

class ScriptedStream final : public SendingPeer {
 public:
  ScriptedStream(std::string bytes, std::uint64_t seed, std::size_t piece_max)
      : bytes_(std::move(bytes)), rng_(seed), piece_max_(piece_max) {}
  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint) override {
    std::size_t n = std::min({into.size(), bytes_.size() - at_, static_cast<std::size_t>(1 + rng_() % piece_max_)});
    std::memcpy(into.data(), bytes_.data() + at_, n);
    at_ += n;
    largest_read_ = std::max(largest_read_, into.size());
    co_return n;
  }
  std::size_t largest_read() const { return largest_read_; }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  std::mt19937_64 rng_;
  std::size_t piece_max_;
  std::size_t largest_read_ = 0;
};

std::string framed(std::string_view body) {
  std::string frame(4, '\0');
  store_be(reinterpret_cast<std::byte*>(frame.data()), static_cast<std::int32_t>(body.size()));
  return frame.append(body);
}

struct Fixture {
  sim::World world{{.seed = 1}};
  sim::Process& process{world.add_host("b").start(1)};
  MemoryAccount account{"requests", 8u << 20};
  BufferPool pool{account};

  Env& env() { return process.env(ShardId{0}); }
  Result<std::optional<MutableBytes>> next(FrameReader& reader) {
    return world.run(process, ShardId{0}, reader.next(std::chrono::seconds(5)));
  }
};

TEST(FrameReader, AnySizesCutAnywhere) {
  Fixture f;
  std::mt19937_64 rng(7);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<std::string> bodies;
    std::string bytes;
    for (int i = 0; i < 40; ++i) {
      std::size_t sizes[] = {rng() % 20, rng() % 2100, 2040 + rng() % 12, rng() % 300'000};
      std::string body(sizes[rng() % 4], static_cast<char>('a' + i % 26));
      bytes += framed(body);
      bodies.push_back(std::move(body));
    }
    ScriptedStream stream(bytes, seed, seed % 3 == 0 ? 3 : 100'000);
    FrameReader reader(stream, f.pool, f.env(), 1 << 20);
    for (const std::string& body : bodies) {
      auto frame = f.next(reader);
      ASSERT_TRUE(frame.ok() && *frame);
      ASSERT_EQ(as_text(**frame), body);
    }
    auto end = f.next(reader);
    ASSERT_TRUE(end.ok());
    EXPECT_FALSE(*end);
    EXPECT_EQ(reader.bytes_received(), bytes.size());
  }
}

TEST(FrameReader, RefusesSizesBeforeTakingMemory) {
  Fixture f;
  struct Case {
    std::string bytes;
    Errc expected;
  };
  for (const Case& c : {Case{"\xff\xff\xff\xff", Errc::malformed}, Case{"GET / HTTP/1.1\r\n\r\n", Errc::too_large},
                        Case{std::string("\x16\x03\x01\x02\x00\x01", 6), Errc::too_large},
                        Case{std::string("\x00\x10\x00\x01", 4), Errc::too_large}}) {
    ScriptedStream stream(c.bytes, 1, 100);
    FrameReader reader(stream, f.pool, f.env(), 1 << 20);
    auto frame = f.next(reader);
    ASSERT_FALSE(frame.ok());
    EXPECT_EQ(frame.code(), c.expected);
    EXPECT_EQ(f.account.used(), 0u);
    EXPECT_LE(stream.largest_read(), 4096u);
  }
}

TEST(FrameReader, EndWithinAFrameIsAnError) {
  Fixture f;
  for (std::size_t cut : {1u, 3u, 4u, 10u, 5000u}) {
    std::string bytes = framed(std::string(10'000, 'x')).substr(0, cut);
    ScriptedStream stream(bytes, 1, 777);
    FrameReader reader(stream, f.pool, f.env(), 1 << 20);
    auto frame = f.next(reader);
    ASSERT_FALSE(frame.ok()) << cut;
    EXPECT_EQ(frame.code(), Errc::connection_closed);
  }
}

TEST(FrameReader, OverTheBudgetWaitsAndThenSaysSo) {
  Fixture f;
  auto hog = MemoryCharge::take(f.account, (8u << 20) - 100);
  ScriptedStream stream(framed(std::string(100'000, 'x')), 1, 100'000);
  FrameReader reader(stream, f.pool, f.env(), 1 << 20);
  auto frame = f.next(reader);
  ASSERT_FALSE(frame.ok());
  EXPECT_EQ(frame.code(), Errc::resource_exhausted);
  EXPECT_GT(f.world.probes().count("receive_budget_full"), 1u);
}

/// Announces a frame, sends a little of it, and then nothing; somebody else asks for memory meanwhile.
class StallingStream final : public SendingPeer {
 public:
  StallingStream(std::string bytes, BufferPool& pool, std::size_t others_want)
      : bytes_(std::move(bytes)), pool_(pool), others_want_(others_want) {}
  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline) override {
    last_room_ = into.size();
    if (others_want_ > 0) (void)pool_.take(others_want_);
    const std::size_t n = std::min(into.size(), bytes_.size());
    if (n > 0) {
      std::memcpy(into.data(), bytes_.data(), n);
      bytes_.erase(0, n);
      co_return n;
    }
    (void)co_await sleep_until(deadline);
    co_return Errc::timed_out;
  }
  std::size_t last_room() const { return last_room_; }

 private:
  std::string bytes_;
  std::size_t last_room_ = 0;
  BufferPool& pool_;
  std::size_t others_want_;
};

TEST(FrameReader, ASlowSenderGivesWayToThoseWhoWaitForMemory) {
  struct Case {
    std::size_t sent, others_want;
    Errc expected;
    int seconds;
  };
  const std::size_t size = 6 << 20;
  // Much sent is no excuse to be held for ever, but is as good as its rate: 300 KiB last four seconds.
  for (const Case& c : {Case{5'000, 4 << 20, Errc::resource_exhausted, 1}, Case{300 << 10, 4 << 20, Errc::timed_out, 5},
                        Case{5'000, 1 << 20, Errc::timed_out, 5}, Case{5'000, 0, Errc::timed_out, 5}}) {
    Fixture f;
    StallingStream stream(framed(std::string(size, 'x')).substr(0, c.sent), f.pool, c.others_want);
    FrameReader reader(stream, f.pool, f.env(), 8 << 20);
    const TimePoint before = f.world.now();
    auto frame = f.next(reader);
    ASSERT_FALSE(frame.ok());
    EXPECT_EQ(frame.code(), c.expected) << c.sent << " sent, others want " << c.others_want;
    EXPECT_EQ(std::chrono::duration_cast<std::chrono::seconds>(f.world.now() - before).count(), c.seconds);
  }
}

/// Sends `frames` frames of `bytes`, all that there is room for with each call, and stays silent for `gap` before each.
class PacedStream final : public SendingPeer {
 public:
  PacedStream(Env& env, std::size_t frames, std::size_t bytes, Duration gap)
      : env_(env), frame_(framed(std::string(bytes, 'x'))), left_(frames * frame_.size()), gap_(gap) {}
  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline) override {
    rooms.push_back(into.size());
    if (gap_ > Duration::zero() && left_ % frame_.size() == 0 && left_ > 0) {
      if (next_ == TimePoint{}) next_ = env_.now() + gap_;
      (void)co_await sleep_until(std::min(deadline, next_));
      if (env_.now() < next_) co_return Errc::timed_out;
      next_ = {};
    }
    std::size_t n = std::min(into.size(), left_);
    if (gap_ > Duration::zero() && left_ > 0) n = std::min(n, (left_ - 1) % frame_.size() + 1);
    for (std::size_t i = 0; i < n; ++i)
      into[i] = std::byte(frame_[frame_.size() - 1 - (left_ - i - 1) % frame_.size()]);
    left_ -= n;
    co_return n;
  }
  std::vector<std::size_t> rooms;

 private:
  Env& env_;
  std::string frame_;
  std::size_t left_;
  Duration gap_;
  TimePoint next_;
};

// Whoever answers knows whether more came along.
TEST(FrameReader, IsReadyWhileWholeFramesAreThere) {
  Fixture f;
  StallingStream stream(framed("one") + framed("two") + framed("three").substr(0, 6), f.pool, 0);
  FrameReader reader(stream, f.pool, f.env(), 1 << 20);
  EXPECT_FALSE(reader.ready());
  ASSERT_TRUE(f.next(reader).ok());
  EXPECT_TRUE(reader.ready());
  ASSERT_TRUE(f.next(reader).ok());
  EXPECT_FALSE(reader.ready()) << "the third is not whole";
  StallingStream bad(framed("one") + "\xff\xff\xff\xff", f.pool, 0);
  FrameReader refusing(bad, f.pool, f.env(), 1 << 20);
  ASSERT_TRUE(f.next(refusing).ok());
  EXPECT_TRUE(refusing.ready()) << "to say that it is no frame";
}

// One call for many frames, small ones or of several kilobytes; for large ones no more than their own.
TEST(FrameReader, ABusyPeerIsReadIntoAWindow) {
  struct Case {
    std::size_t frames, bytes, calls_max, room_max;
  };
  for (const Case& c : {Case{300, 200, 5, 64 << 10}, Case{50, 5000, 8, 64 << 10}, Case{10, 100'000, 12, 103'000}}) {
    Fixture f;
    PacedStream stream(f.env(), c.frames, c.bytes, Duration::zero());
    FrameReader reader(stream, f.pool, f.env(), 1 << 20);
    for (std::size_t i = 0; i < c.frames; ++i) {
      auto frame = f.next(reader);
      ASSERT_TRUE(frame.ok() && *frame);
      ASSERT_EQ(as_text(**frame), std::string(c.bytes, 'x'));
    }
    EXPECT_LE(stream.rooms.size(), c.calls_max) << c.bytes;
    EXPECT_LE(std::ranges::max(stream.rooms), c.room_max);
    EXPECT_FALSE(f.next(reader).value());
  }
}

// Who pauses keeps the window for a moment; who sends now and then never gets one.
TEST(FrameReader, ASilentPeerHoldsTheHeadOnly) {
  for (Duration gap : {Duration(Millis(20)), Duration(Millis(150))}) {
    Fixture f;
    PacedStream stream(f.env(), 6, 5000, gap);
    FrameReader reader(stream, f.pool, f.env(), 1 << 20);
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(f.next(reader).ok());
    const bool busy = gap < Millis(100);
    EXPECT_EQ(std::ranges::max(stream.rooms) > 20'000, busy);
    EXPECT_LE(stream.rooms.size(), busy ? 2u + 2u + 4u : 6u * 2u);
  }
  Fixture f;
  StallingStream stream(framed(std::string(5000, 'x')) + framed(std::string(5000, 'y')), f.pool, 0);
  FrameReader reader(stream, f.pool, f.env(), 1 << 20);
  ASSERT_TRUE(f.next(reader).ok());
  ASSERT_TRUE(f.next(reader).ok());
  const TimePoint before = f.world.now();
  EXPECT_EQ(f.next(reader).code(), Errc::timed_out);
  EXPECT_EQ(std::chrono::duration_cast<Millis>(f.world.now() - before), Millis(5000)) << "not the window's pause";
  EXPECT_EQ(stream.last_room(), 2048u);
}

TEST(FrameReader, WithoutRoomToSpareThereIsNoWindow) {
  Fixture f;
  auto others = MemoryCharge::take(f.account, 3u << 20);
  PacedStream stream(f.env(), 50, 5000, Duration::zero());
  FrameReader reader(stream, f.pool, f.env(), 1 << 20);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(f.next(reader).ok());
  EXPECT_LT(std::ranges::max(stream.rooms), 10'000u);
}

TEST(BufferPool, KeepsAndGivesBack) {
  MemoryAccount account("requests", 1 << 20);
  {
    BufferPool pool(account);
    {
      auto buffer = pool.take(20'000);
      EXPECT_GE(buffer.size(), 20'000u);
    }
    std::uint64_t kept = account.used();
    EXPECT_GT(kept, 0u);
    {
      auto again = pool.take(30'000);
      EXPECT_EQ(account.used(), kept);
    }  // the same buffer
    EXPECT_FALSE(pool.take(2 << 20));
  }
  EXPECT_EQ(account.used(), 0u);
}

}  // namespace
}  // namespace mr::server::kafka
