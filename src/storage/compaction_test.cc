// The decisions of compaction, without files: the map of newest offsets against std::map, the plan by examples, and
// cleaning of random batches in random passes against a model that knows every record ever written.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "model/batch_builder.h"
#include "storage/batch_cleaner.h"
#include "storage/compaction_plan.h"

namespace mr::storage::test {
namespace {

std::string key_text(std::uint64_t n) { return "key-" + std::to_string(n); }

TEST(KeyOffsetMap, SameAsStdMapUntilItIsFull) {
  std::mt19937_64 random(7);
  for (std::uint64_t bytes : {0u, 100u, 5'000u, 200'000u}) {
    KeyOffsetMap map(bytes, {random(), random()});
    std::map<std::string, std::int64_t> model;
    std::int64_t offset = 0;
    for (;; ++offset) {
      std::string key = key_text(random() % 20'000);
      if (!map.put(as_bytes(key), Offset{offset})) {
        EXPECT_FALSE(model.contains(key)) << "a known key needs no room";
        break;
      }
      model[key] = offset;
    }
    EXPECT_GE(map.size(), 1u);
    EXPECT_EQ(map.size(), model.size());
    EXPECT_LE(map.bytes(), std::max<std::uint64_t>(bytes, 48));
    if (bytes == 200'000) EXPECT_GT(map.bytes(), bytes / 2) << "grows as far as it may";
    for (std::uint64_t n = 0; n < 20'000; ++n) {
      auto known = model.find(key_text(n));
      EXPECT_EQ(map.find(as_bytes(key_text(n))).v, known == model.end() ? -1 : known->second);
    }
  }
}

SegmentFacts segment(std::int64_t base, std::int64_t end, std::uint64_t bytes, WallMillis from = 1, WallMillis to = 1) {
  return {Offset{base}, Offset{end}, bytes, 100, from, to};
}

TEST(CompactionPlan, RatioDecidesAndTheLastLifeIsNotBelieved) {
  std::vector<SegmentFacts> sealed{segment(0, 10, 600), segment(10, 20, 300), segment(20, 30, 100)};
  CompactionConfig config;
  Dirtiness found = judge(sealed, Offset{10}, config, 1000);
  EXPECT_EQ(found.clean_bytes, 600u);
  EXPECT_EQ(found.dirty_bytes, 400u);
  EXPECT_EQ(found.cleanable_end, Offset{30});
  EXPECT_FALSE(found.due(config));
  config.min_dirty_ratio = 0.3;
  EXPECT_TRUE(found.due(config));
  EXPECT_FALSE(judge(sealed, Offset{30}, config, 1000).due(config));
  for (std::int64_t strange : {31, 1'000'000}) EXPECT_EQ(judge(sealed, Offset{strange}, config, 1).dirty_bytes, 1000u);
  std::span<const SegmentFacts> tail = std::span(sealed).subspan(1);
  EXPECT_EQ(judge(tail, Offset{0}, config, 1).first_dirty, Offset{10});
  EXPECT_FALSE(judge({}, Offset{5}, config, 1).due(config));
}

TEST(CompactionPlan, LagsBoundWhatIsCleaned) {
  std::vector<SegmentFacts> sealed{segment(0, 10, 100, 1'000, 2'000), segment(10, 20, 100, 2'000, 5'000),
                                   segment(20, 30, 100, 5'000, 3'000)};
  CompactionConfig config{.min_lag_ms = 1'000};
  EXPECT_EQ(judge(sealed, Offset{0}, config, 5'500).cleanable_end, Offset{10});
  EXPECT_EQ(judge(sealed, Offset{0}, config, 6'001).cleanable_end, Offset{30});
  config = {.max_lag_ms = 10'000, .min_dirty_ratio = 1.0};
  EXPECT_FALSE(judge(sealed, Offset{10}, config, 11'500).due(config));
  EXPECT_TRUE(judge(sealed, Offset{10}, config, 12'001).due(config));
  config = {.min_lag_ms = INT64_MAX, .max_lag_ms = INT64_MAX};
  EXPECT_EQ(judge(sealed, Offset{0}, config, INT64_MAX).dirty_bytes, 0u);
}

TEST(CompactionPlan, NeighboursMergeUpToTheLimits) {
  std::vector<SegmentFacts> sealed{segment(0, 10, 100),   segment(10, 20, 100), segment(20, 30, 900),
                                   segment(30, 40, 50),   segment(40, 50, 50),  segment(50, 60, 50),
                                   segment(60, 70, 2'000)};
  sealed[4].readable = false;
  auto shape = [&](const GroupLimits& limits, std::int64_t end) {
    std::vector<std::pair<std::size_t, std::size_t>> groups;
    for (const SegmentGroup& group : group_segments(sealed, Offset{end}, limits))
      groups.emplace_back(group.first, group.count);
    return groups;
  };
  using Shape = std::vector<std::pair<std::size_t, std::size_t>>;
  EXPECT_EQ(shape({1'000, 1'000}, 70), (Shape{{0, 2}, {2, 2}, {5, 1}, {6, 1}}));
  EXPECT_EQ(shape({1'000, 150}, 30), (Shape{{0, 1}, {1, 1}, {2, 1}}));
  EXPECT_EQ(shape({10'000, 1'000}, 21), (Shape{{0, 3}}));
  sealed[1].mergeable = false;
  EXPECT_EQ(shape({10'000, 1'000}, 40), (Shape{{0, 1}, {1, 1}, {2, 2}}));
  sealed[3].end = Offset{20ll + INT32_MAX + 2};
  EXPECT_EQ(shape({10'000, 1'000}, 31), (Shape{{0, 1}, {1, 1}, {2, 1}, {3, 1}}));
}

/// A log of batches in memory that is cleaned in passes, and all that was ever written to it.
class CleanedLog {
 public:
  explicit CleanedLog(std::uint64_t seed) : random_(seed) {}

  struct Written {
    std::string key;
    std::optional<std::string> value;
    WallMillis timestamp = 0;
  };

  void append() {
    std::uint64_t draw = random_();
    BatchBuilder::Options options{.codec = static_cast<Codec>(draw % 5),
                                  .base_offset = Offset{next_},
                                  .leader_epoch = LeaderEpoch{3},
                                  .log_append_time = draw % 7 == 0};
    if (draw % 3 == 0) {
      options.producer_id = ProducerId{static_cast<std::int64_t>(draw % 4)};
      options.producer_epoch = ProducerEpoch{1};
      options.base_sequence = Sequence{static_cast<std::int32_t>(next_)};
    }
    BatchBuilder builder(options);
    for (std::uint64_t i = 0; i <= draw % 5; ++i) {
      Written record{key_text(random_() % 12), std::nullopt, static_cast<WallMillis>(5'000 + random_() % 1'000)};
      if (random_() % 3 != 0) record.value = "value " + std::to_string(next_);
      NewRecord added{.timestamp = record.timestamp, .key = as_bytes(record.key)};
      if (record.value) added.value = as_bytes(*record.value);
      builder.add(added);
      written_[next_++] = record;
    }
    std::vector<std::byte> batch = builder.build().value();
    MR_CHECK(BatchHeader::parse(batch)->total_bytes() == batch.size());
    if (options.producer_id != kNoProducerId) last_of_producer_[options.producer_id] = Offset{next_ - 1};
    batches_.push_back(std::move(batch));
  }

  /// One pass over [first_dirty, end) with a map of `bytes`; first_dirty moves as far as the map went.
  void pass(std::uint64_t bytes, WallMillis now) {
    KeyOffsetMap map(bytes, {random_(), random_()});
    BatchCleaner cleaner;
    Offset map_end{next_};
    for (auto& batch : batches_) {
      BatchView view{BatchHeader::parse(batch).value(), batch};
      bool all = cleaner
                     .for_each_keyed(view,
                                     [&](const Record& record) {
                                       Offset offset{view.header.base_offset + record.offset_delta};
                                       if (offset < first_dirty_ || map.put(*record.key, offset)) return true;
                                       map_end = offset;
                                       return false;
                                     })
                     .value();
      if (!all) break;
    }
    CleanRules rules{map, map_end, now, kDeleteRetention};
    std::vector<std::vector<std::byte>> cleaned;
    for (auto& batch : batches_) clean_batch(cleaner, batch, rules, cleaned);
    batches_ = std::move(cleaned);
    ASSERT_GT(map_end, first_dirty_);
    first_dirty_ = map_end;
    check(now);
  }
  bool clean() const { return first_dirty_.v == next_; }
  std::size_t batches() const { return batches_.size(); }

  static constexpr std::int64_t kDeleteRetention = 100;

 private:
  void clean_batch(BatchCleaner& cleaner, std::vector<std::byte>& batch, const CleanRules& rules,
                   std::vector<std::vector<std::byte>>& cleaned) {
    BatchView view{BatchHeader::parse(batch).value(), batch};
    const BatchHeader& old = view.header;
    auto last = last_of_producer_.find(ProducerId{old.producer_id});
    bool keep = last != last_of_producer_.end() && last->second == old.last_offset();
    std::vector<std::byte> out;
    auto fate = cleaner.clean(view, rules, keep, out);
    ASSERT_TRUE(fate.ok()) << fate.error().message();
    if (*fate == BatchCleaner::Fate::dropped) {
      ASSERT_FALSE(keep);
      return;
    }
    if (*fate == BatchCleaner::Fate::as_it_is) out = batch;
    BatchHeader header = BatchHeader::parse(out).value();
    ASSERT_TRUE(batch_crc_matches(out));
    ASSERT_EQ(header.total_bytes(), out.size());
    EXPECT_EQ(header.base_offset, old.base_offset);
    EXPECT_EQ(header.last_offset_delta, old.last_offset_delta);
    EXPECT_EQ(header.leader_epoch, old.leader_epoch);
    EXPECT_EQ(header.producer_id, old.producer_id);
    EXPECT_EQ(header.producer_epoch, old.producer_epoch);
    EXPECT_EQ(header.base_sequence, old.base_sequence);
    if (header.records_count > 0) {
      EXPECT_EQ(header.codec(), old.codec());
    }
    if (old.delete_horizon() && header.records_count > 0) {
      EXPECT_EQ(header.base_timestamp, old.base_timestamp);
    }
    cleaned.push_back(std::move(out));
  }

  /// Everything that is left is as it was written; of each key what must be there is there, and nothing else below the
  /// cleaned end.
  void check(WallMillis now) {
    std::map<std::string, std::vector<std::int64_t>> left;
    Inflater inflater;
    for (auto& batch : batches_) {
      BatchHeader header = BatchHeader::parse(batch).value();
      ByteView records =
          inflater.inflate(header.codec(), ByteView(batch).subspan(BatchHeader::kBytes), 1 << 20).value();
      RecordReader in(records, header.records_count);
      WallMillis largest = -1;
      for (Record record; in.next(record);) {
        std::int64_t offset = header.base_offset + record.offset_delta;
        const Written& was = written_.at(offset);
        EXPECT_EQ(as_text(*record.key), was.key);
        EXPECT_EQ(record.value.has_value(), was.value.has_value());
        if (record.value && was.value) {
          EXPECT_EQ(as_text(*record.value), *was.value);
        }
        EXPECT_EQ(header.base_timestamp + record.timestamp_delta, was.timestamp);
        largest = std::max(largest, was.timestamp);
        left[was.key].push_back(offset);
      }
      ASSERT_TRUE(in.ok()) << in.problem();
      if (header.records_count > 0 && !header.log_append_time()) {
        EXPECT_EQ(header.max_timestamp, largest);
      }
    }
    std::map<std::string, std::int64_t> newest;
    for (auto& [offset, record] : written_)
      if (offset < first_dirty_.v) newest[record.key] = offset;
    for (auto& [offset, record] : written_) {
      auto& there = left[record.key];
      bool found = std::ranges::find(there, offset) != there.end();
      if (offset >= first_dirty_.v) {
        EXPECT_TRUE(found) << "not cleaned yet, at " << offset;
      } else if (offset != newest[record.key]) {
        EXPECT_FALSE(found) << "superseded, at " << offset;
      } else if (record.value) {
        EXPECT_TRUE(found) << "the newest value of its key, at " << offset;
      } else if (!tombstone_seen_.contains(offset)) {
        EXPECT_TRUE(found) << "a tombstone that was never cleaned before, at " << offset;
        tombstone_seen_[offset] = now;
      } else if (now < tombstone_seen_[offset] + kDeleteRetention) {
        EXPECT_TRUE(found) << "a young tombstone, at " << offset;
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<std::vector<std::byte>> batches_;
  std::map<std::int64_t, Written> written_;
  std::map<ProducerId, Offset> last_of_producer_;
  std::map<std::int64_t, WallMillis> tombstone_seen_;  ///< first cleaned at
  std::int64_t next_ = 0;
  Offset first_dirty_{0};
};

TEST(BatchCleaner, RandomLogsKeepTheNewestOfEachKey) {
  for (std::uint64_t seed = 1; seed <= 40 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CleanedLog log(seed);
    WallMillis now = 10'000;
    for (int round = 0; round < 6 && !testing::Test::HasFailure(); ++round) {
      for (int i = 0; i < 25; ++i) log.append();
      do {
        log.pass(seed % 2 == 0 ? 200 : 100'000, now);
        now += 40;
      } while (!log.clean() && !testing::Test::HasFailure());
    }
  }
}

TEST(BatchCleaner, TombstoneGoesWhenItsTimeIsOver) {
  BatchBuilder::Options options{.codec = Codec::zstd, .base_offset = Offset{40}};
  BatchBuilder builder(options);
  std::string key = "k";
  builder.add({.timestamp = 5, .key = as_bytes(key)});
  std::vector<std::byte> batch = builder.build().value();
  KeyOffsetMap map(1'000, {1, 2});
  ASSERT_TRUE(map.put(as_bytes(key), Offset{40}));
  BatchCleaner cleaner;
  std::vector<std::byte> out;
  CleanRules first{map, Offset{41}, 1'000, 50};
  ASSERT_EQ(cleaner.clean({BatchHeader::parse(batch).value(), batch}, first, false, out).value(),
            BatchCleaner::Fate::rewritten);
  BatchHeader header = BatchHeader::parse(out).value();
  EXPECT_TRUE(header.delete_horizon());
  EXPECT_EQ(header.base_timestamp, 1'050);
  EXPECT_EQ(header.max_timestamp, 5);

  BatchView again{header, out};
  std::vector<std::byte> later;
  CleanRules early{map, Offset{41}, 1'049, 50}, due{map, Offset{41}, 1'050, 50}, held{map, Offset{41}, 1'050, 50, true};
  EXPECT_EQ(cleaner.clean(again, early, false, later).value(), BatchCleaner::Fate::as_it_is);
  EXPECT_EQ(cleaner.clean(again, held, false, later).value(), BatchCleaner::Fate::as_it_is);
  EXPECT_EQ(cleaner.clean(again, due, false, later).value(), BatchCleaner::Fate::dropped);
  EXPECT_EQ(cleaner.clean(again, due, true, later).value(), BatchCleaner::Fate::rewritten);
  BatchHeader empty = BatchHeader::parse(later).value();
  EXPECT_TRUE(batch_crc_matches(later));
  EXPECT_EQ(empty.records_count, 0);
  EXPECT_EQ(empty.attributes, 0);
  EXPECT_EQ(empty.total_bytes(), BatchHeader::kBytes);
  EXPECT_EQ(cleaner.clean({empty, later}, due, true, out).value(), BatchCleaner::Fate::as_it_is);
  EXPECT_EQ(cleaner.clean({empty, later}, due, false, out).value(), BatchCleaner::Fate::dropped);
}

// A log adopted from Kafka: what a transaction wrote stays, so the deletion of it has to stay as well.
TEST(BatchCleaner, TombstoneStaysAboveARecordOfATransaction) {
  std::string key = "k", value = "v";
  KeyOffsetMap map(1'000, {1, 2});
  ASSERT_TRUE(map.put(as_bytes(key), Offset{40}));
  CleanRules first{map, Offset{41}, 1'000, 50}, due{map, Offset{41}, 1'050, 50};
  BatchBuilder deletion({.base_offset = Offset{40}});
  deletion.add({.timestamp = 5, .key = as_bytes(key)});
  std::vector<std::byte> batch = deletion.build().value(), tombstone, out;
  BatchCleaner earlier;
  ASSERT_EQ(earlier.clean({BatchHeader::parse(batch).value(), batch}, first, false, tombstone).value(),
            BatchCleaner::Fate::rewritten);
  BatchView expired{BatchHeader::parse(tombstone).value(), tombstone};
  for (bool control : {false, true}) {
    BatchBuilder builder({.base_offset = Offset{7}, .transactional = true, .control = control});
    builder.add({.timestamp = 1, .key = as_bytes(key), .value = as_bytes(value)});
    std::vector<std::byte> of_transaction = builder.build().value();
    BatchCleaner cleaner;
    EXPECT_EQ(cleaner.clean({BatchHeader::parse(of_transaction).value(), of_transaction}, due, false, out).value(),
              BatchCleaner::Fate::as_it_is);
    EXPECT_EQ(cleaner.clean(expired, due, false, out).value(),
              control ? BatchCleaner::Fate::dropped : BatchCleaner::Fate::as_it_is);
    EXPECT_EQ(cleaner.counts().tombstones_dropped, control ? 1u : 0u);
  }
}

TEST(BatchCleaner, RecordsWithoutKeyGoAndTransactionsStay) {
  std::string value = "v", key = "k";
  BatchBuilder plain;
  plain.add({.timestamp = 1, .value = as_bytes(value)});
  plain.add({.timestamp = 1, .key = as_bytes(key), .value = as_bytes(value)});
  std::vector<std::byte> batch = plain.build().value();
  KeyOffsetMap map(1'000, {1, 2});
  ASSERT_TRUE(map.put(as_bytes(key), Offset{90}));
  BatchCleaner cleaner;
  std::vector<std::byte> out;
  CleanRules rules{map, Offset{100}, 1'000, 50};
  EXPECT_EQ(cleaner.clean({BatchHeader::parse(batch).value(), batch}, rules, false, out).value(),
            BatchCleaner::Fate::dropped);
  EXPECT_EQ(cleaner.counts().without_key, 1u);
  for (bool control : {false, true}) {
    BatchBuilder builder({.transactional = true, .control = control});
    builder.add({.timestamp = 1, .key = as_bytes(key), .value = as_bytes(value)});
    std::vector<std::byte> of_transaction = builder.build().value();
    BatchView view{BatchHeader::parse(of_transaction).value(), of_transaction};
    EXPECT_EQ(cleaner.clean(view, rules, false, out).value(), BatchCleaner::Fate::as_it_is);
    int visited = 0;
    EXPECT_TRUE(cleaner.for_each_keyed(view, [&](const Record&) { return ++visited > 0; }).value());
    EXPECT_EQ(visited, 0);
  }
}

TEST(BatchCleaner, RecordsThatDoNotDecodeAreAnError) {
  BatchBuilder builder;
  std::string key = "k";
  builder.add({.timestamp = 1, .key = as_bytes(key)});
  std::vector<std::byte> batch = builder.build().value();
  store_be(batch.data() + BatchHeader::kRecordsCountAt, std::int32_t{2});
  KeyOffsetMap map(1'000, {1, 2});
  BatchCleaner cleaner;
  std::vector<std::byte> out;
  auto fate = cleaner.clean({BatchHeader::parse(batch).value(), batch}, {map, Offset{10}}, false, out);
  EXPECT_EQ(fate.code(), Errc::corrupt_batch);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace mr::storage::test
