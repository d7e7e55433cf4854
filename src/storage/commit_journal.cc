#include "storage/commit_journal.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace mr::storage {

std::string journal_path(std::string_view directory, std::uint32_t shard, char half) {
  return fmt::format("{}/commit-journal-{}.{}", directory, shard, half);
}

std::size_t CommitJournal::Hash::operator()(const PartitionKey& key) const noexcept {
  return std::hash<TopicId>{}(key.topic) + static_cast<std::size_t>(key.partition.v) * 0x9e3779b97f4a7c15ull;
}

std::size_t CommitJournal::Hash::operator()(const StatementKey& key) const noexcept {
  return (*this)(key.of) ^ ((static_cast<std::size_t>(key.segment.v) + key.position) * 0xff51afd7ed558ccdull);
}

CommitJournal::CommitJournal(FileSystem& files, Options options) : files_(files), options_(std::move(options)) {
  MR_CHECK(!options_.session.is_zero());
  MR_CHECK(options_.block_bytes_max % kJournalAlign == 0 && options_.half_bytes % kJournalAlign == 0);
  MR_CHECK(options_.block_bytes_max > 0 && options_.block_bytes_max <= kJournalBlockBytesMax);
  MR_CHECK(options_.half_bytes >= 4 * options_.block_bytes_max && options_.grow_bytes > 0);
  half(use_).use = Use::filling;
  spare_.reset(new Block(files_, options_));
}

std::uint64_t CommitJournal::room() const {
  const HalfState& in_use = half(use_);
  std::uint64_t limit = growth_refused_ ? in_use.grown : options_.half_bytes;
  std::uint64_t taken = in_use.position + kJournalAlign;
  return limit > taken ? limit - taken : 0;
}

void CommitJournal::add_durable(const JournalRun& run) {
  if (failure_) return;
  auto [at, fresh] = statement_at_.try_emplace(key_of(run), statements_.size());
  if (!fresh) {
    JournalRun& waiting = statements_[at->second];
    if (run.bytes >= waiting.bytes) waiting = run;
  } else if (statements_.size() < options_.statements_max) {
    statements_.push_back(run);
  } else {
    statement_at_.erase(at);
  }
}

bool CommitJournal::add_carried(const JournalRun& run, ByteView batches) {
  MR_CHECK(batches.size() == run.bytes);
  if (failure_ || filling_.bytes_with(run.bytes) > std::min(room(), options_.block_bytes_max)) return false;
  filling_.add(JournalEntry::Kind::carried, run, batches);
  carries_ = true;
  Offset& end = half(use_).carried[{run.topic, run.partition}];
  end = std::max(end, run.next);
  return true;
}

bool CommitJournal::wants_half() const {
  if (failure_ || carries_ || room() >= options_.block_bytes_max) return false;
  const HalfState& next = half(other(use_));
  return next.use == Use::free && (!growth_refused_ || next.grown > options_.block_bytes_max);
}

CommitJournal::Half CommitJournal::begin_half(std::vector<JournalRun> checkpoint) {
  MR_CHECK(wants_half());
  Half full = use_;
  half(full).use = Use::draining;
  use_ = other(full);
  half(use_).use = Use::filling;
  half(use_).position = 0;
  std::vector<JournalRun> waiting = std::exchange(statements_, std::move(checkpoint));
  checkpoint_left_ = statements_.size();
  index_statements();
  for (const JournalRun& run : waiting) add_durable(run);
  return full;
}

std::vector<CommitJournal::Carried> CommitJournal::carried_in(Half which) const {
  std::vector<Carried> all;
  all.reserve(half(which).carried.size());
  for (const auto& [key, end] : half(which).carried) all.push_back({key.topic, key.partition, end});
  return all;
}

void CommitJournal::release(Half which) {
  MR_CHECK(half(which).use == Use::draining);
  half(which).use = Use::released;
  half(which).carried.clear();
}

void CommitJournal::index_statements() {
  statement_at_.clear();
  for (std::size_t i = 0; i < statements_.size(); ++i) statement_at_[key_of(statements_[i])] = i;
}

/// As many waiting statements as fit into `room` bytes.
void CommitJournal::add_statements(Block& block, std::uint64_t room) {
  std::size_t taken = 0;
  while (taken < statements_.size() && block.builder_.bytes_with(0) <= room)
    block.builder_.add(JournalEntry::Kind::durable, statements_[taken++], {});
  if (taken == 0) {
    // A checkpoint that fills a whole half does not get into it: what is left of it is lost, not the journal.
    if (settles() && block.builder_.empty()) checkpoint_left_ = 0;
    return;
  }
  auto end = statements_.begin() + static_cast<std::ptrdiff_t>(taken);
  block.statements_.assign(statements_.begin(), end);
  statements_.erase(statements_.begin(), end);
  block.checkpoint_ = std::min(taken, checkpoint_left_);
  checkpoint_left_ -= block.checkpoint_;
  index_statements();
}

std::uint64_t CommitJournal::floor_with(const Block& block) const {
  // The other half goes only once all that this one repeats of it has been written.
  if (half(other(use_)).use == Use::draining || checkpoint_left_ > 0) return floor_;
  const HalfState& in_use = half(use_);
  return std::max(floor_, in_use.first != 0 ? in_use.first : block.header_.sequence);
}

std::unique_ptr<CommitJournal::Block> CommitJournal::take_block() {
  if (in_flight_ || !has_work()) return nullptr;
  HalfState& in_use = half(use_);
  HalfState& previous = half(other(use_));
  std::unique_ptr<Block> block = std::move(spare_);
  std::swap(block->builder_, filling_);
  add_statements(*block, std::min(room(), options_.block_bytes_max));
  block->bytes_ = block->builder_.bytes();
  std::uint64_t limit = growth_refused_ && !carries_ ? in_use.grown : options_.half_bytes;
  bool settle = settles() && in_use.position + block->bytes_ <= limit;
  if (block->builder_.empty() && !settle) {
    spare_ = std::move(block);
    return nullptr;
  }
  MR_CHECK(in_use.position + block->bytes_ <= options_.half_bytes);
  block->half_ = use_;
  block->header_ = {
      .session = options_.session, .shard = options_.shard, .sequence = next_sequence_, .asserted = synced_};
  block->header_.floor = floor_with(*block);
  block->position_ = in_use.position;
  block->grown_ = in_use.grown;
  block->file_ = in_use.file;
  block->name_unsynced_ = in_use.name_unsynced;
  if (previous.unsynced) block->previous_ = previous.file;
  block->needs_sync_ = carries_ || settle;
  in_use.position += block->bytes_;
  carries_ = false;
  in_flight_ = true;
  return block;
}

void CommitJournal::note_written(Block& block) {
  HalfState& written = half(block.half_);
  HalfState& previous = half(other(block.half_));
  next_sequence_ = block.header_.sequence + 1;
  floor_ = block.header_.floor;
  if (written.first == 0) written.first = block.header_.sequence;
  written.last = block.header_.sequence;
  if (!block.synced_) {
    written.unsynced = true;
    return;
  }
  synced_ = block.header_.sequence;
  written.unsynced = written.name_unsynced = previous.unsynced = false;
  if (previous.use == Use::released && block.header_.floor > previous.last) {
    previous.use = Use::free;
    previous.first = previous.last = 0;
  }
}

void CommitJournal::requeue(const Block& block) {
  std::vector<JournalRun> waiting = std::exchange(statements_, block.statements_);
  // The block's statements come first. What is left of a checkpoint lies behind all of them when its half has begun
  // since.
  std::size_t checkpoint = checkpoint_left_ > 0 ? block.statements_.size() + checkpoint_left_ : block.checkpoint_;
  index_statements();
  for (const JournalRun& run : waiting) add_durable(run);
  checkpoint_left_ = std::min(checkpoint, statements_.size());
}

void CommitJournal::block_done(std::unique_ptr<Block> block, const Result<void>& outcome) {
  MR_CHECK(in_flight_);
  in_flight_ = false;
  HalfState& written = half(block->half_);
  written.file = block->file_;
  written.grown = block->grown_;
  written.name_unsynced = block->name_unsynced_;
  if (outcome.ok()) {
    MR_CHECK(block->wrote_ && (block->synced_ || !block->needs_sync_));
    note_written(*block);
  } else if (!block->wrote_ && (outcome.code() == Errc::disk_full || outcome.code() == Errc::resource_exhausted)) {
    written.position = block->position_;
    growth_refused_ = true;
    requeue(*block);
    // What was added since may lie behind what this block did not carry: evidence above a hole.
    filling_.clear();
    carries_ = false;
  } else {
    failure_ = Error(Errc::disk_failed, outcome.error().message());
    statements_.clear();
    statement_at_.clear();
  }
  block->clear();
  spare_ = std::move(block);
}

CommitJournal::Block::Block(FileSystem& files, const Options& options)
    : files_(files),
      directory_(options.directory),
      paths_{journal_path(options.directory, options.shard, 'a'), journal_path(options.directory, options.shard, 'b')},
      grow_bytes_(options.grow_bytes),
      half_bytes_(options.half_bytes) {}

void CommitJournal::Block::clear() {
  builder_.clear();
  statements_.clear();
  checkpoint_ = 0;
  file_.reset();
  previous_.reset();
  name_unsynced_ = needs_sync_ = wrote_ = synced_ = false;
}

Result<void> CommitJournal::Block::write() {
  MR_CHECK(!wrote_);
  ByteView bytes = builder_.finish(header_);
  if (file_ == nullptr) {
    // Journals of earlier lives have been retired: one that is there would be evidence that nobody has read.
    MR_TRY(file_, files_.open(paths_[static_cast<std::size_t>(half_)], OpenMode::create_new));
    name_unsynced_ = true;
  }
  // Before anything is written: want of a descriptor for it is then no failure.
  if (name_unsynced_) MR_TRY_VOID(files_.sync_directory(directory_));
  name_unsynced_ = false;
  MR_TRY_VOID(file_->write_at(bytes, position_));
  wrote_ = true;
  std::uint64_t end = position_ + bytes.size();
  if (end <= grown_) return {};
  grown_ = end;
  std::uint64_t wanted = std::min(half_bytes_, (end + grow_bytes_ - 1) / grow_bytes_ * grow_bytes_);
  static constexpr std::size_t kZeroBytes = 64u << 10;
  static const std::vector<std::byte> zeros(kZeroBytes);
  while (grown_ < wanted) {
    std::uint64_t count = std::min<std::uint64_t>(kZeroBytes, wanted - grown_);
    Result<void> grown = file_->write_at(ByteView(zeros).first(count), grown_);
    if (!grown.ok()) return grown.code() == Errc::disk_full ? Result<void>{} : grown;  // this block has its room
    grown_ += count;
  }
  return {};
}

Result<void> CommitJournal::Block::sync() {
  MR_CHECK(wrote_ && !synced_);
  // This block will say that all before it are on disk.
  if (previous_ != nullptr) MR_TRY_VOID(previous_->sync());
  MR_TRY_VOID(file_->sync());
  synced_ = true;
  return {};
}

}  // namespace mr::storage
