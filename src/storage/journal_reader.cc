#include "storage/journal_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::string_view kPrefix = "commit-journal-";
constexpr std::string_view kParkedPrefix = "commit-journal-parked-";
constexpr std::size_t kWindowBytes = 1u << 20;

/// A file read front to back through one buffer.
class Window {
 public:
  explicit Window(File& file) : file_(file) {}
  /// Bytes [at, at + wanted), or fewer at the end; valid until the next call.
  Result<ByteView> bytes(std::uint64_t at, std::size_t wanted) {
    if (at < at_ || at + wanted > at_ + buffer_.size()) MR_TRY_VOID(fill(at, std::max(wanted, kWindowBytes)));
    ByteView all(buffer_);
    std::size_t skipped = std::min<std::size_t>(at - at_, all.size());
    return all.subspan(skipped, std::min(wanted, all.size() - skipped));
  }
  void forget() { buffer_.clear(); }

 private:
  Result<void> fill(std::uint64_t at, std::size_t wanted) {
    buffer_.resize(wanted);
    auto got = file_.read_at(buffer_, at);
    buffer_.resize(got.ok() ? *got : 0);
    at_ = at;
    return got.ok() ? Result<void>{} : std::move(got).error();
  }
  File& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t at_ = 0;
};

/// `session`: null is any.
Result<JournalBlock> block_at(Window& window, std::uint64_t at, const Uuid* session) {
  MR_TRY(ByteView head, window.bytes(at, kJournalHeaderBytes));
  if (session != nullptr && journal_block_session(head) != *session)
    return Error(Errc::corrupt_data, "not its session");
  MR_TRY(std::size_t length, journal_block_bytes(head));
  MR_TRY(ByteView whole, window.bytes(at, length));
  return decode_journal_block(whole);
}

}  // namespace

bool is_journal_name(std::string_view name) {
  return name.starts_with(kPrefix) && (name.ends_with(".a") || name.ends_with(".b"));
}

/// A block that reads, without the bytes it carries.
struct JournalEvidence::Block {
  struct Entry {
    JournalRun run;
    bool carries = false;
    std::uint64_t at = 0;
    std::uint32_t crc = 0;
  };
  JournalBlockHeader header;
  std::size_t file = 0;
  std::uint64_t position = 0;
  std::vector<Entry> entries;
};

Result<std::unique_ptr<JournalEvidence>> JournalEvidence::read(FileSystem& files, std::string directory) {
  std::unique_ptr<JournalEvidence> evidence(new JournalEvidence(files, std::move(directory)));
  MR_TRY_VOID(evidence->load());
  return evidence;
}

/// All blocks of one file. Where none is, one may start at any later sector. What the device does not give may be the
/// only copy of answered records, of whatever partition: then nothing of the directory is served, or their offsets
/// would be given away again.
Result<std::vector<JournalEvidence::Block>> JournalEvidence::scan(std::size_t index) const {
  std::vector<Block> found;
  MR_TRY(auto file, files_.open(path_of(sources_[index]), OpenMode::read));
  file->drop_cache();  // after a failed sync the page cache may hold what the device has not
  MR_TRY(std::uint64_t size, file->size());
  Window window(*file);
  bool expected = true;         // a block starts here, if there is one more
  std::optional<Uuid> session;  // of the first block; nobody who makes records knows it
  for (std::uint64_t at = 0; at < size;) {
    // Records that were carried may look like the heads of long blocks, sector after sector: none is read for that.
    auto block = block_at(window, at, !expected && session ? &*session : nullptr);
    if (!block.ok() && block.code() == Errc::corrupt_data && expected) {
      window.forget();  // what a device gave wrong once it may give right the second time
      block = block_at(window, at, nullptr);
    }
    if (!block.ok()) {
      if (block.code() == Errc::disk_failed)
        return Error(
            Errc::disk_failed,
            fmt::format("{} cannot be read at {} ({}): put the file aside to start without the answered records "
                        "that only it may have",
                        path_of(sources_[index]), at, block.error().detail()));
      // Bytes that somebody made look like a block of tomorrow, inside of what is carried, stop nobody.
      bool no_block = block.code() == Errc::corrupt_data || (block.code() == Errc::newer_format && !expected);
      if (!no_block) return in_file(path_of(sources_[index]), std::move(block).error());
      expected = false;
      at += kJournalAlign;
      continue;
    }
    expected = true;
    if (at == 0) session = block->header.session;
    Block& kept = found.emplace_back(Block{.header = block->header, .file = index, .position = at, .entries = {}});
    MR_TRY(ByteView whole, window.bytes(at, block->bytes));
    for (const JournalEntry& entry : block->entries) {
      bool carries = entry.kind == JournalEntry::Kind::carried;
      kept.entries.push_back({.run = entry.run,
                              .carries = carries,
                              .at = carries ? at + static_cast<std::uint64_t>(entry.carried.data() - whole.data()) : 0,
                              .crc = carries ? crc32c(entry.carried) : 0});
    }
    at += block->bytes;
  }
  return found;
}

std::size_t JournalEvidence::journal_of(const JournalBlockHeader& header) {
  for (std::size_t i = 0; i < journals_.size(); ++i)
    if (journals_[i].session == header.session && journals_[i].shard == header.shard) return i;
  journals_.push_back({.session = header.session, .shard = header.shard, .partitions = {}});
  return journals_.size() - 1;
}

Result<void> JournalEvidence::load() {
  MR_TRY(auto entries, files_.list(directory_));
  for (const DirEntry& entry : entries)
    if (!entry.is_directory && is_journal_name(entry.name)) sources_.push_back({.name = entry.name, .journal = {}});
  std::ranges::sort(sources_, {}, &Source::name);
  std::vector<std::vector<Block>> files;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    MR_TRY(auto blocks, scan(i));
    // Its first block says whose the file is; what follows of others is left from an earlier use.
    if (!blocks.empty() && blocks.front().position == 0) sources_[i].journal = journal_of(blocks.front().header);
    files.push_back(std::move(blocks));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].journal || files[i].empty()) continue;
    // The first one does not read: one of a journal that the other half has told of is no invention.
    auto known = std::ranges::find_if(files[i], [&](const Block& block) {
      return std::ranges::any_of(journals_, [&](const Journal& journal) {
        return journal.session == block.header.session && journal.shard == block.header.shard;
      });
    });
    sources_[i].journal = journal_of(known != files[i].end() ? known->header : files[i].front().header);
  }
  std::vector<std::vector<Block>> blocks(journals_.size());
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].journal) continue;
    const Journal& journal = journals_[*sources_[i].journal];
    for (Block& block : files[i]) {
      if (block.header.session != journal.session || block.header.shard != journal.shard) continue;
      sources_[i].newest = std::max(sources_[i].newest, block.header.sequence);
      blocks[*sources_[i].journal].push_back(std::move(block));
    }
  }
  for (std::size_t i = 0; i < journals_.size(); ++i) adopt(journals_[i], blocks[i]);
  index();
  return {};
}

void JournalEvidence::adopt(Journal& journal, std::vector<Block>& blocks) {
  std::ranges::sort(blocks, {},
                    [](const Block& block) { return std::tuple(block.header.sequence, block.file, block.position); });
  std::uint64_t floor = 1, asserted = 0;
  for (const Block& block : blocks) {
    floor = std::max(floor, block.header.floor);
    asserted = std::max(asserted, block.header.asserted);
  }
  std::uint64_t expected = floor;
  for (const Block& block : blocks) {
    std::uint64_t sequence = block.header.sequence;
    if (sequence < floor) continue;
    if (sequence > expected && expected <= asserted) {
      std::uint64_t lost = std::min(sequence - 1, asserted) - expected + 1;
      damaged_ += lost;
      log_error("storage", "the commit journal is damaged: acknowledged records may be missing",
                {{"directory", directory_},
                 {"shard", journal.shard},
                 {"first_block", expected},
                 {"blocks", lost},
                 {"found_in", sources_[block.file].name}});
    }
    adopt_entries(journal, block);
    expected = std::max(expected, sequence + 1);
  }
}

void JournalEvidence::adopt_entries(Journal& journal, const Block& block) {
  for (const Block::Entry& entry : block.entries) {
    Known& known = journal.partitions[{entry.run.topic, entry.run.partition}];
    if (entry.carries) {
      known.carried.push_back({.run = entry.run, .file = block.file, .at = entry.at, .crc = entry.crc});
      continue;
    }
    JournalRun& longest = known.durable[{entry.run.segment, entry.run.position}];
    if (entry.run.bytes >= longest.bytes) longest = entry.run;
  }
}

void JournalEvidence::index() {
  partitions_.clear();
  for (const Journal& journal : journals_)
    for (const auto& [key, known] : journal.partitions) partitions_.insert(key);
}

std::vector<JournalEvidence::Key> JournalEvidence::partitions() const {
  return {partitions_.begin(), partitions_.end()};
}

Result<CommitEvidence> JournalEvidence::evidence_of(TopicId topic, PartitionIndex partition) const {
  CommitEvidence evidence;
  for (const Journal& journal : journals_) {
    auto at = journal.partitions.find({topic, partition});
    if (at == journal.partitions.end()) continue;
    for (const auto& [place, run] : at->second.durable) evidence.durable.push_back(run);
    std::unique_ptr<File> file;
    std::size_t open = 0;
    for (const Carried& carried : at->second.carried) {
      if (file == nullptr || open != carried.file) {
        MR_TRY(file, files_.open(path_of(sources_[carried.file]), OpenMode::read));
        open = carried.file;
      }
      std::vector<std::byte> bytes(carried.run.bytes);
      bool same = false;
      for (int attempt = 0; attempt < 2 && !same; ++attempt) {
        MR_TRY(std::size_t got, file->read_at(bytes, carried.at));
        same = got == bytes.size() && crc32c(bytes) == carried.crc;
      }
      if (!same)
        return Error(Errc::corrupt_data, fmt::format("{}: carried bytes at {} do not read the same twice",
                                                     path_of(sources_[carried.file]), carried.at));
      evidence.carried.push_back({.run = carried.run, .frames = std::move(bytes)});
    }
  }
  return evidence;
}

Result<void> JournalEvidence::retire(const std::set<Key>& keep) {
  for (Journal& journal : journals_)
    std::erase_if(journal.partitions, [&](const auto& entry) { return !keep.contains(entry.first); });
  index();
  for (std::size_t i = 0; i < journals_.size(); ++i)
    if (!journals_[i].partitions.empty()) MR_TRY_VOID(park(i));
  if (!partitions_.empty()) MR_TRY_VOID(files_.sync_directory(directory_));
  return remove_unused();
}

Result<void> JournalEvidence::drop(Key key) {
  if (!partitions_.erase(key)) return {};
  for (Journal& journal : journals_) journal.partitions.erase(key);
  return remove_unused();
}

Result<void> JournalEvidence::park(std::size_t index) {
  const Journal& journal = journals_[index];
  for (Source& source : sources_) {
    if (source.journal != index || source.name.starts_with(kParkedPrefix)) continue;
    std::string parked = fmt::format("{}{:016x}{:016x}-{}.{}", kParkedPrefix, journal.session.high, journal.session.low,
                                     journal.shard, source.name.back());
    MR_TRY_VOID(files_.rename(path_of(source), directory_ + "/" + parked));
    source.name = std::move(parked);
  }
  return {};
}

/// The newest half first: without the older one it would look like a journal with blocks missing.
Result<void> JournalEvidence::remove_unused() {
  std::vector<std::size_t> newest, others;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    if (source.name.empty() || (source.journal && !journals_[*source.journal].partitions.empty())) continue;
    bool newer_there = std::ranges::any_of(sources_, [&](const Source& other) {
      return source.journal && other.journal == source.journal && other.newest > source.newest;
    });
    (newer_there ? others : newest).push_back(i);
  }
  for (const std::vector<std::size_t>* turn : {&newest, &others}) {
    for (std::size_t i : *turn) {
      Result<void> removed = files_.remove(path_of(sources_[i]));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
    if (!turn->empty()) MR_TRY_VOID(files_.sync_directory(directory_));
    for (std::size_t i : *turn) sources_[i].name.clear();
  }
  return {};
}

Result<void> remove_journals(FileSystem& files, const std::string& directory) {
  struct Half {
    std::string name;
    std::uint64_t first = 0;
  };
  std::map<std::string, std::vector<Half>> journals;
  MR_TRY(auto entries, files.list(directory));
  for (const DirEntry& entry : entries) {
    if (entry.is_directory || !is_journal_name(entry.name) || entry.name.starts_with(kParkedPrefix)) continue;
    MR_TRY(auto file, files.open(directory + "/" + entry.name, OpenMode::read));
    std::vector<std::byte> head(kJournalHeaderBytes);
    MR_TRY(std::size_t got, file->read_at(head, 0));
    std::uint64_t first = got == head.size() ? journal_block_sequence(head) : 0;
    journals[entry.name.substr(0, entry.name.size() - 1)].push_back({entry.name, first});
  }
  if (journals.empty()) return {};
  // The newest half first, as above.
  for (auto& [name, halves] : journals) {
    std::ranges::sort(halves, std::greater(), &Half::first);
    MR_TRY_VOID(files.remove(directory + "/" + halves.front().name));
  }
  MR_TRY_VOID(files.sync_directory(directory));
  for (const auto& [name, halves] : journals)
    for (std::size_t i = 1; i < halves.size(); ++i) MR_TRY_VOID(files.remove(directory + "/" + halves[i].name));
  return files.sync_directory(directory);
}

}  // namespace mr::storage
