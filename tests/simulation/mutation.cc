#include "tests/simulation/mutation.h"

#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "storage/partition_log.h"

namespace mr::sim {

namespace {

struct Name {
  Mutation mutation;
  const char* text;
};
constexpr Name kNames[] = {
    {Mutation::none, "none"},
    {Mutation::lying_sync, "lying_sync"},
    {Mutation::ack_before_sync, "ack_before_sync"},
    {Mutation::weak_flush, "weak_flush"},
    {Mutation::sync_error_ignored, "sync_error_ignored"},
    {Mutation::sync_retried, "sync_retried"},
    {Mutation::watermark_from_end, "watermark_from_end"},
    {Mutation::early_repeat, "early_repeat"},
    {Mutation::sequence_check_off, "sequence_check_off"},
    {Mutation::torn_tail_kept, "torn_tail_kept"},
    {Mutation::synced_tail_cut, "synced_tail_cut"},
    {Mutation::recovered_tail_not_synced, "recovered_tail_not_synced"},
    {Mutation::fresh_sequences, "fresh_sequences"},
    {Mutation::lost_metadata, "lost_metadata"},
    {Mutation::lost_settings, "lost_settings"},
    {Mutation::rotten_medium, "rotten_medium"},
    {Mutation::lying_directories, "lying_directories"},
    {Mutation::journal_before_data, "journal_before_data"},
    {Mutation::journal_ignored, "journal_ignored"},
    {Mutation::log_start_not_saved, "log_start_not_saved"},
    {Mutation::half_recycled_early, "half_recycled_early"},
};
constexpr std::size_t kCount = std::size(kNames) - 1;

constexpr auto kAll = [] {
  std::array<Mutation, kCount> all{};
  for (std::size_t i = 0; i < kCount; ++i) all[i] = kNames[i + 1].mutation;
  return all;
}();

bool is_log(std::string_view path) { return path.ends_with(".log"); }
/// What acks rest on: logs, and the commit journal that carries small batches for them.
bool is_promised(std::string_view path) { return is_log(path) || path.contains("commit-journal-"); }

/// What all files of one mutated program share.
struct Program {
  Mutation mutation;
  std::function<bool()> serving;
  std::mutex mutex;
  std::vector<std::shared_ptr<File>> owed;  ///< ack_before_sync: answered for, not synced
};

class MutatedFile final : public File {
 public:
  MutatedFile(std::shared_ptr<File> inner, std::shared_ptr<Program> program, const std::string& path)
      : inner_(std::move(inner)), program_(std::move(program)), log_(is_log(path)), promised_(is_promised(path)) {}
  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    return inner_->read_at(into, position);
  }
  using File::write_at;
  Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) override {
    return inner_->write_at(pieces, position);
  }
  Result<void> sync() override {
    if (!promised_) return inner_->sync();
    switch (program_->mutation) {
      case Mutation::ack_before_sync:
        return sync_what_is_owed();
      case Mutation::sync_error_ignored:
        (void)inner_->sync();
        return {};
      case Mutation::sync_retried: {
        Result<void> first = inner_->sync();
        return first.ok() ? first : inner_->sync();
      }
      case Mutation::recovered_tail_not_synced:
        if (!program_->serving()) return {};
        return inner_->sync();
      default:
        return inner_->sync();
    }
  }
  Result<void> truncate(std::uint64_t size) override {
    constexpr std::uint64_t kTooMuch = 150;
    MR_TRY(std::uint64_t now, inner_->size());
    bool tail = log_ && size < now && !program_->serving();
    if (tail && program_->mutation == Mutation::synced_tail_cut) {
      return inner_->truncate(size - std::min(size, kTooMuch));
    }
    return inner_->truncate(size);
  }
  Result<std::uint64_t> size() override { return inner_->size(); }
  Result<void> allocate(std::uint64_t from, std::uint64_t to) override { return inner_->allocate(from, to); }
  void drop_cache(std::uint64_t position, std::uint64_t bytes) override { inner_->drop_cache(position, bytes); }
  int native_handle() const override { return inner_->native_handle(); }

 private:
  Result<void> sync_what_is_owed() {
    std::lock_guard guard(program_->mutex);
    for (const auto& file : std::exchange(program_->owed, {inner_})) MR_TRY_VOID(file->sync());
    return {};
  }

  std::shared_ptr<File> inner_;
  std::shared_ptr<Program> program_;
  bool log_;
  bool promised_;
};

class MutatedFiles final : public FileSystem {
 public:
  MutatedFiles(std::unique_ptr<FileSystem> inner, std::shared_ptr<Program> program)
      : inner_(std::move(inner)), program_(std::move(program)) {}
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    MR_TRY(auto file, inner_->open(path, mode));
    return std::make_unique<MutatedFile>(std::move(file), program_, path);
  }
  Result<void> make_directories(const std::string& path) override { return inner_->make_directories(path); }
  Result<std::vector<DirEntry>> list(const std::string& path) override { return inner_->list(path); }
  Result<void> rename(const std::string& from, const std::string& to) override {
    bool lost = program_->mutation == Mutation::log_start_not_saved && to.ends_with("/log-start-offset-checkpoint");
    return lost ? inner_->remove(from) : inner_->rename(from, to);
  }
  Result<void> remove(const std::string& path) override { return inner_->remove(path); }
  Result<void> remove_all(const std::string& path) override { return inner_->remove_all(path); }
  Result<void> sync_directory(const std::string& path) override { return inner_->sync_directory(path); }
  Result<bool> exists(const std::string& path) override { return inner_->exists(path); }
  Result<SpaceInfo> space(const std::string& path) override { return inner_->space(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return inner_->lock(path); }

 private:
  std::unique_ptr<FileSystem> inner_;
  std::shared_ptr<Program> program_;
};

/// Gives each batch whose header looks right a checksum that fits: what a recovery sees that asks for no more.
Result<void> believe_headers(FileSystem& files, const std::string& path) {
  MR_TRY(auto file, files.open(path, OpenMode::read_write));
  MR_TRY(std::uint64_t size, file->size());
  std::vector<std::byte> bytes(size);
  MR_TRY_VOID(file->read_at(bytes, 0));
  for (std::size_t at = 0; at + BatchHeader::kBytes <= size;) {
    auto header = BatchHeader::parse(ByteView(bytes).subspan(at));
    if (!header.ok() || header->total_bytes() > size - at) break;
    std::byte crc[4];
    store_be(crc, crc32c(ByteView(bytes).subspan(at, header->total_bytes()).subspan(BatchHeader::kAttributesAt)));
    MR_TRY_VOID(file->write_at(crc, at + BatchHeader::kCrcAt));
    at += header->total_bytes();
  }
  return {};
}

Result<void> believe_logs(FileSystem& files, const std::string& directory) {
  auto entries = files.list(directory);
  if (!entries.ok()) return {};
  for (const DirEntry& entry : *entries) {
    if (is_log(entry.name)) MR_TRY_VOID(believe_headers(files, directory + "/" + entry.name));
  }
  return {};
}

class MutatedLog final : public storage::PartitionLog {
 public:
  MutatedLog(FileSystem& files, storage::Log::OpenOptions options, Mutation mutation)
      : PartitionLog(files, std::move(options)), mutation_(mutation) {}
  using PartitionLog::open_files;

  Result<storage::SequenceVerdict> check_sequence(const BatchHeader& header) const override {
    if (mutation_ == Mutation::sequence_check_off) return storage::SequenceVerdict{};
    auto verdict = PartitionLog::check_sequence(header);
    if (mutation_ == Mutation::early_repeat && verdict.ok() &&
        verdict->kind == storage::SequenceVerdict::Kind::duplicate) {
      answered_ = std::max(answered_, Offset{verdict->duplicate_base_offset.v + header.last_offset_delta + 1});
    }
    return verdict;
  }
  Offset durable_end() const override {
    if (mutation_ == Mutation::watermark_from_end) return log_end();
    return std::max(PartitionLog::durable_end(), answered_);
  }
  Offset synced_end() const override {
    return mutation_ == Mutation::half_recycled_early ? durable_end() : PartitionLog::synced_end();
  }

  Result<storage::AppendResult> append(MutableBytes batch, const BatchHeader& header, WallMillis max_timestamp,
                                       LeaderEpoch epoch, WallMillis now, bool may_wait = true) override {
    auto done = PartitionLog::append(batch, header, max_timestamp, epoch, now, may_wait);
    if (mutation_ == Mutation::journal_before_data && done.ok()) {
      auto bytes = ByteView(batch).first(BatchHeader::kBytes);
      since_round_.push_back({done->run, {bytes.begin(), bytes.end()}});
    }
    return done;
  }
  Result<std::optional<storage::SyncTicket>> begin_sync() override {
    if (rounds_late_ > 0) {  // as if there were no descriptor: time for the journal to say what is not true yet
      --rounds_late_;
      return Errc::resource_exhausted;
    }
    since_round_.clear();
    return PartitionLog::begin_sync();
  }
  void end_sync(const storage::SyncTicket& ticket, const Result<void>& outcome) override {
    PartitionLog::end_sync(ticket, outcome);
    if (!ticket.run || !outcome.ok()) return;
    // Whoever began the round holds the ticket as a variable and passes on what it says.
    storage::JournalRun& said = *const_cast<storage::SyncTicket&>(ticket).run;
    for (const Appended& one : since_round_) {
      if (one.run.segment != said.segment || one.run.position != said.end()) break;
      said.bytes += one.run.bytes;
      said.next = one.run.next;
      said.epoch = one.run.epoch;
      said.headers_crc = crc32c(one.header, said.headers_crc);
      rounds_late_ = 3;
    }
  }

 private:
  struct Appended {
    storage::JournalRun run;
    std::vector<std::byte> header;
  };

  Mutation mutation_;
  std::vector<Appended> since_round_;  ///< journal_before_data: what the round under way does not sync
  int rounds_late_ = 0;                ///< journal_before_data: so many rounds do not begin
  mutable Offset answered_{0};         ///< early_repeat: end of what was taken for answered
};

}  // namespace

const char* to_string(Mutation mutation) {
  for (const Name& name : kNames) {
    if (name.mutation == mutation) return name.text;
  }
  return "?";
}

std::span<const Mutation> all_mutations() { return kAll; }

Mutation mutation_named(std::string_view name) {
  for (const Name& known : kNames) {
    if (known.text == name) return known.mutation;
  }
  return Mutation::none;
}

std::unique_ptr<FileSystem> mutate_files(Mutation mutation, std::unique_ptr<FileSystem> inner,
                                         std::function<bool()> serving) {
  switch (mutation) {
    case Mutation::ack_before_sync:
    case Mutation::sync_error_ignored:
    case Mutation::sync_retried:
    case Mutation::synced_tail_cut:
    case Mutation::recovered_tail_not_synced:
    case Mutation::log_start_not_saved: {
      auto program = std::make_shared<Program>();
      program->mutation = mutation;
      program->serving = std::move(serving);
      return std::make_unique<MutatedFiles>(std::move(inner), std::move(program));
    }
    default:
      return inner;
  }
}

OpenLog mutate_logs(Mutation mutation) {
  switch (mutation) {
    case Mutation::watermark_from_end:
    case Mutation::early_repeat:
    case Mutation::sequence_check_off:
    case Mutation::torn_tail_kept:
    case Mutation::journal_before_data:
    case Mutation::journal_ignored:
    case Mutation::half_recycled_early:
      return [mutation](FileSystem& files, storage::Log::OpenOptions options) -> Result<std::unique_ptr<storage::Log>> {
        if (mutation == Mutation::torn_tail_kept) MR_TRY_VOID(believe_logs(files, options.directory));
        if (mutation == Mutation::journal_ignored) options.evidence = {};
        auto log = std::make_unique<MutatedLog>(files, options, mutation);
        MR_TRY_VOID(log->open_files(options));
        return std::unique_ptr<storage::Log>(std::move(log));
      };
    default:
      return {};
  }
}

}  // namespace mr::sim
