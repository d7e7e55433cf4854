// `log verify`, `log repair` and `log dump`: on files, without a broker.
#include <fmt/format.h>

#include <charconv>
#include <map>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/record_format.h"
#include "cli/session.h"
#include "model/compression.h"
#include "model/record.h"
#include "storage/log_repair.h"
#include "storage/log_verify.h"
#include "storage/segment_names.h"

namespace mr::cli {

namespace {

constexpr std::uint64_t kInflatedBytesMax = 1ull << 30;

double seconds() { return std::chrono::duration<double>(real_clock().mono().time_since_epoch()).count(); }

/// For files, "not found" is a wrong argument and not a host name.
int report_file(const Error& error) {
  const int code = report(error);
  return code == kCannotConnect ? kFailed : code;
}

Value to_value(const storage::VerifyProblem& problem) {
  return Value::Object{{"kind", storage::to_string(problem.kind)},
                       {"file", problem.file},
                       {"position", problem.position},
                       {"offset", problem.offset ? Value(problem.offset->v) : Value(nullptr)},
                       {"next_offset", problem.next ? Value(problem.next->v) : Value(nullptr)},
                       {"what", problem.what}};
}

/// All that is wrong with one directory: a partition's, or a data directory's own files.
struct Verified {
  std::string directory;
  storage::VerifyReport report;
};

/// Data directories first look at their own files, then at each partition's. Errors: those of FileSystem.
Result<std::vector<Verified>> verify_all(const Common& common, const std::vector<std::string>& paths,
                                         bool skip_records) {
  std::vector<Verified> all;
  std::map<std::string, storage::DataDirReport> around;
  ProgressBar bar(!common.quiet, "bytes");
  for (std::string path : paths) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    MR_TRY(auto directories, storage::partition_directories(real_files(), path));
    const bool is_partition = directories.size() == 1 && directories.front() == path;
    const std::string above = is_partition ? storage::parent_directory(path) : path;
    if (!around.contains(above)) {
      auto looked = storage::verify_data_directory(real_files(), above);
      if (!looked.ok() && !is_partition) return std::move(looked).error();
      around[above] = looked.ok() ? std::move(*looked) : storage::DataDirReport();
    }
    if (!is_partition && !around[above].problems.empty()) {
      Verified& own = all.emplace_back(Verified{path, {}});
      for (const storage::VerifyProblem& problem : around[above].problems) own.report.add(problem);
    }
    for (const std::string& directory : directories) {
      MR_TRY(auto report,
             storage::verify_partition(real_files(), directory, {.records = !skip_records, .around = &around[above]},
                                       [&](std::uint64_t done, std::uint64_t total) {
                                         bar.update(done, total, seconds());
                                         return true;
                                       }));
      all.push_back({directory, std::move(report)});
    }
  }
  bar.clear();
  return all;
}

Value::Object to_row(const std::string& directory, const storage::VerifyReport& report) {
  return {{"directory", directory},         {"healthy", report.healthy()},  {"segments", report.segments},
          {"batches", report.batches},      {"records", report.records},    {"bytes", report.bytes},
          {"first_offset", report.first.v}, {"next_offset", report.next.v}, {"problems", report.problem_count}};
}

Value::Object to_row(const storage::DumpedBatch& batch) {
  const BatchHeader& h = batch.header;
  Value::Object row = {
      {"offset", h.base_offset},        {"last_offset", h.last_offset().v}, {"records", h.records_count},
      {"bytes", h.total_bytes()},       {"position", batch.position},       {"epoch", h.leader_epoch},
      {"codec", codec_name(h.codec())}, {"max_timestamp", h.max_timestamp}, {"crc_ok", batch.crc_matches}};
  row.emplace_back("producer", h.has_producer() ? Value(h.producer_id) : Value(nullptr));
  row.emplace_back("producer_epoch", h.has_producer() ? Value(h.producer_epoch) : Value(nullptr));
  row.emplace_back("sequence", h.has_producer() ? Value(h.base_sequence) : Value(nullptr));
  std::string flags;
  if (h.control()) flags += "control ";
  if (h.transactional()) flags += "transactional ";
  if (h.log_append_time()) flags += "log-append-time ";
  if (!flags.empty()) flags.pop_back();
  row.emplace_back("flags", flags.empty() ? Value(nullptr) : Value(flags));
  return row;
}

/// Lines of JSON for the records of one batch. Errors: those of Inflater and RecordReader.
Result<void> append_records(std::string& out, Inflater& inflater, const TopicPartition& name,
                            const storage::DumpedBatch& batch) {
  BatchView view{batch.header, batch.bytes};
  MR_TRY(ByteView bytes, inflater.inflate(batch.header.codec(), view.records(), kInflatedBytesMax));
  RecordReader in(bytes, batch.header.records_count);
  for (Record record; in.next(record);) {
    client::Fetched::Item item{.offset = Offset{batch.header.base_offset + record.offset_delta},
                               .timestamp = batch.header.log_append_time()
                                                ? batch.header.max_timestamp
                                                : batch.header.base_timestamp + record.timestamp_delta,
                               .record = &record};
    append_record_json(out, name.topic, name.partition, item);
  }
  if (!in.ok()) return Error(Errc::malformed, in.problem());
  return {};
}

/// By the name of the directory that a segment lies in: "orders-3".
TopicPartition partition_of(std::string_view path) {
  const std::size_t file = path.rfind('/');
  std::string_view directory = file == std::string_view::npos ? std::string_view() : path.substr(0, file);
  directory = directory.substr(directory.rfind('/') + 1);
  const std::size_t dash = directory.rfind('-');
  TopicPartition name{std::string(directory.substr(0, dash)), PartitionIndex{-1}};
  if (dash != std::string_view::npos)
    std::from_chars(directory.data() + dash + 1, directory.data() + directory.size(), name.partition.v);
  return name;
}

int dump_segment(const Common& common, const LogDump& command) {
  const TopicPartition name = partition_of(command.path);
  Inflater inflater;
  Value::List rows;
  Result<void> failed;
  std::uint64_t count = 0;
  // Rows come out a thousand at a time: a segment may hold millions of batches.
  auto flush = [&] {
    bool goes_on = true;
    if (!rows.empty() && common.output != OutputFormat::json) goes_on = print(render_rows(common.output, rows));
    if (common.output != OutputFormat::json) rows.clear();
    return goes_on;
  };
  auto dumped = storage::dump_segment(real_files(), command.path, [&](const storage::DumpedBatch& batch) {
    ++count;
    if (command.records) {
      std::string lines;
      failed = append_records(lines, inflater, name, batch);
      if (!failed.ok() || !print(lines)) return false;
    } else {
      rows.emplace_back(to_row(batch));
      if (rows.size() % 1000 == 0 && !flush()) return false;
    }
    return command.count == 0 || count < command.count;
  });
  if (!command.records) {
    if (common.output == OutputFormat::json) {
      print(render_rows(common.output, rows));
    } else {
      flush();
    }
  }
  if (!failed.ok()) return report_file(failed.error());
  if (!dumped.ok()) return report_file(dumped.error());
  return kOk;
}

}  // namespace

int run(const Common& common, const LogVerify& command) {
  auto verified = verify_all(common, command.paths, command.skip_records);
  if (!verified.ok()) return report_file(verified.error());
  Value::List rows, problems;
  bool healthy = true;
  for (const Verified& one : *verified) {
    healthy = healthy && one.report.healthy();
    Value::Object row = to_row(one.directory, one.report);
    Value::List own;
    for (const storage::VerifyProblem& problem : one.report.problems) own.push_back(to_value(problem));
    if (common.output == OutputFormat::table) {
      problems.insert(problems.end(), own.begin(), own.end());
    } else {
      row.emplace_back("problem_list", own);
    }
    rows.emplace_back(std::move(row));
  }
  print(render_rows(common.output, rows));
  if (!problems.empty()) print("\n" + render_rows(OutputFormat::table, problems));
  if (!common.quiet && common.output == OutputFormat::table)
    say(fmt::format("{} director{} verified: {}", rows.size(), rows.size() == 1 ? "y" : "ies",
                    healthy ? "all healthy" : "something is wrong, see above"));
  return healthy ? kOk : kFailed;
}

int run(const Common& common, const LogRepair& command) {
  auto verified = verify_all(common, command.paths, true);
  if (!verified.ok()) return report_file(verified.error());
  Value::List rows;
  bool loses = false;
  std::uint64_t untold = 0;
  for (const Verified& one : *verified) {
    untold += one.report.problem_count - one.report.problems.size();
    for (const storage::VerifyProblem& problem : one.report.problems) {
      storage::Remedy remedy = storage::remedy_for(problem);
      loses = loses || remedy.records_lost;
      rows.emplace_back(Value::Object{{"file", problem.file},
                                      {"found", fmt::format("{}: {}", storage::to_string(problem.kind), problem.what)},
                                      {"remedy", remedy.action},
                                      {"lost", remedy.lost.empty() ? Value("nothing") : Value(remedy.lost)}});
    }
  }
  if (!rows.empty() || common.output != OutputFormat::table) print(render_rows(common.output, rows));
  if (!common.quiet && common.output == OutputFormat::table)
    say(rows.empty() ? "nothing to repair"
                     : fmt::format("dry run, nothing was changed{}",
                                   untold > 0 ? fmt::format("; {} more problems are not shown", untold) : ""));
  return loses ? kFailed : kOk;
}

int run(const Common& common, const LogDump& command) {
  if (command.path.ends_with(".log")) return dump_segment(common, command);
  auto lines = storage::dump_side_file(real_files(), command.path);
  if (!lines.ok()) return report_file(lines.error());
  if (common.output == OutputFormat::table) {
    std::string text;
    for (const std::string& line : *lines) text += line + "\n";
    print(text);
  } else {
    Value::List list;
    for (std::string& line : *lines) list.emplace_back(std::move(line));
    print(render_one(common.output, {{"file", command.path}, {"lines", std::move(list)}}));
  }
  return kOk;
}

}  // namespace mr::cli
