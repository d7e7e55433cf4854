#include "replication/read_checks.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "model/record.h"
#include "runtime/shards.h"

namespace mr::replication {

namespace {

/// A part of a file as it was read once, so that what is checked is what is sent. Reading it again asks the file.
class ReadOnce final : public File {
 public:
  ReadOnce(File& file, std::uint64_t position) : file_(file), position_(position) {}

  Result<void> load(std::uint64_t length) {
    bytes_.resize(length);
    MR_TRY(std::size_t got, file_.read_at(bytes_, position_));
    bytes_.resize(got);
    return {};
  }
  /// Where the last whole batch ends, when what follows it is one that was cut by the answer's limit; otherwise the end
  /// of the bytes. The `first` batch of an answer is never cut.
  std::uint64_t whole_end(std::uint64_t limit, bool first) const {
    BatchReader in(bytes_);
    for (BatchView batch; in.next(batch);) {
    }
    bool cut = !in.problem() && (in.position() > 0 || !first) && position_ + bytes_.size() < limit;
    return position_ + (cut ? in.position() : bytes_.size());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    if (position < position_ || position >= position_ + bytes_.size()) return std::size_t{0};
    std::size_t at = position - position_;
    std::size_t n = std::min(into.size(), bytes_.size() - at);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), n, into.begin());
    return n;
  }
  void drop_cache(std::uint64_t, std::uint64_t) override {
    file_.drop_cache();
    // A failure leaves fewer bytes, which the check takes for damage.
    if (!load(bytes_.size()).ok()) bytes_.clear();
  }
  Result<void> write_at(std::span<const ByteView>, std::uint64_t) override { return Errc::internal; }
  Result<void> sync() override { return Errc::internal; }
  Result<void> truncate(std::uint64_t) override { return Errc::internal; }
  Result<std::uint64_t> size() override { return position_ + bytes_.size(); }
  Result<void> allocate(std::uint64_t, std::uint64_t) override { return Errc::internal; }
  int native_handle() const override { return -1; }

 private:
  File& file_;
  std::uint64_t position_;
  std::vector<std::byte> bytes_;
};

/// What a checked read holds on to: the files, and bytes that were read once.
class CheckedPin final : public storage::Pin {
 public:
  explicit CheckedPin(std::unique_ptr<storage::Pin> files) : files_(std::move(files)) {}
  ByteView keep(std::vector<std::byte> bytes) { return memory_.emplace_back(std::move(bytes)); }
  void keep(MemoryCharge charge) { charges_.push_back(std::move(charge)); }

 private:
  std::unique_ptr<storage::Pin> files_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<MemoryCharge> charges_;
};

}  // namespace

Task<void> ReadChecks::note(Partition& partition, const storage::Fragment& fragment, const storage::BatchRange& range,
                            const Result<storage::BatchCheck>& outcome) {
  partition.note_check(fragment.segment, range, outcome);
  if (!outcome.ok()) co_return;
  stats_.checked_bytes += outcome->good_end - range.position;
  if (outcome->healed) {
    ++stats_.healed;
    env_.probe.hit("read_healed");
  }
  if (!outcome->bad) co_return;
  auto damage = co_await offload(env_, [&] { return storage::survey_damage(*fragment.file, range); });
  if (!damage.ok()) co_return;
  std::size_t found = partition.note_damage(fragment.segment, std::move(*damage));
  stats_.corrupt_ranges += found;
  if (found > 0) env_.probe.hit("read_found_damage");
}

Task<Result<void>> ReadChecks::check_in_pieces(Partition& partition, const storage::Fragment& fragment, Part& part) {
  while (part.good_end < part.range.end) {
    storage::BatchRange piece = part.range;
    piece.position = part.good_end;
    piece.end = std::min(piece.position + kPieceBytes, part.range.end);
    auto outcome = co_await offload(env_, [&] { return storage::check_batches(*fragment.file, piece); });
    co_await note(partition, fragment, piece, outcome);
    if (!outcome.ok()) co_return std::move(outcome).error();
    part.good_end = outcome->good_end;
    part.bad = std::move(outcome->bad);
    if (part.bad) break;
  }
  co_return Result<void>{};
}

Task<Result<void>> ReadChecks::check_and_keep(Partition& partition, const storage::Fragment& fragment, Part& part) {
  ReadOnce bytes(*fragment.file, fragment.position);
  part.range.position = fragment.position;
  auto outcome = co_await offload(env_, [&]() -> Result<storage::BatchCheck> {
    MR_TRY_VOID(bytes.load(fragment.length));
    part.range.end = part.range.limit = bytes.whole_end(part.range.limit, part.first);
    return storage::check_batches(bytes, part.range);
  });
  co_await note(partition, fragment, part.range, outcome);
  if (!outcome.ok()) co_return std::move(outcome).error();
  part.good_end = outcome->good_end;
  part.bad = std::move(outcome->bad);
  part.kept = bytes.take();
  part.kept.resize(std::min<std::uint64_t>(part.kept.size(), part.good_end - fragment.position));
  co_return Result<void>{};
}

Task<Result<void>> ReadChecks::check(Partition& partition, storage::ReadResult& read, MemoryAccount* memory,
                                     TimePoint patience) {
  const bool all = !read.unchecked;  // drawn by the sample
  ++(all ? stats_.sampled : stats_.cold);
  std::vector<Part> parts;
  std::uint64_t bytes = 0;
  for (const storage::Fragment& fragment : read.fragments) {
    auto range = partition.range_to_check(fragment, all);
    if (!range.ok() || !*range) {  // closed, or retention took the segment since: the reader asks again
      read = {};
      if (!range.ok()) co_return std::move(range).error();
      co_return Result<void>{};
    }
    Part& part = parts.emplace_back(Part{.range = **range, .first = parts.empty()});
    part.good_end = part.range.position;
    part.range.end = std::min(part.range.end, part.range.position + (kAnswerBytesMax - bytes));
    bytes += part.range.end - part.range.position;
  }
  MR_CO_TRY_VOID(co_await slots_.acquire(1, patience));
  Semaphore::Held slot(slots_);
  const bool keep = read.fragments.front().file->native_handle() < 0;
  auto charge = memory ? MemoryCharge::take(*memory, keep ? read.bytes : storage::kCheckChunkBytes) : MemoryCharge();
  if (memory != nullptr && !charge) {
    ++stats_.without_memory;
    co_return Result<void>{};
  }
  auto pin = std::make_unique<CheckedPin>(std::move(read.pin));
  read.bytes = 0;
  std::size_t whole = 0;  // fragments that are sent
  Result<void> outcome;
  for (; whole < parts.size(); ++whole) {
    storage::Fragment& fragment = read.fragments[whole];
    Part& part = parts[whole];
    if (keep) {
      outcome = co_await check_and_keep(partition, fragment, part);
    } else {
      outcome = co_await check_in_pieces(partition, fragment, part);
    }
    if (!outcome.ok()) break;
    std::uint64_t asked = fragment.length;
    fragment.length = std::min(part.good_end - fragment.position, asked);
    read.bytes += fragment.length;
    if (keep) {
      fragment.memory = pin->keep(std::move(part.kept));
      fragment.file = nullptr;
    }
    if (part.bad && read.bytes == 0) outcome = std::move(*part.bad);
    if (fragment.length < asked) {
      if (fragment.length > 0) ++whole;
      break;
    }
  }
  read.fragments.resize(whole);
  if (keep) pin->keep(std::move(charge));
  read.pin = std::move(pin);
  if (read.bytes > 0) co_return Result<void>{};  // the next read meets the error
  read = {};
  co_return outcome;
}

}  // namespace mr::replication
