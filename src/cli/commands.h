#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/units.h"
#include "config/broker_settings.h"
#include "model/batch_header.h"

/// What the command line asks for, as plain values: parse.cc fills them, one file per group of commands does them.
namespace mr::cli {

enum class OutputFormat { table, json, yaml, ndjson };

/// What commands that talk to a broker share.
struct Common {
  std::string bootstrap = "127.0.0.1:9092";
  std::int64_t timeout_ms = 30'000;
  bool timeout_given = false;
  OutputFormat output = OutputFormat::table;
  bool dry_run = false;
  bool quiet = false;
};

struct Serve {
  bool dev = false;
  std::vector<config::SettingInput> inputs;
  std::string properties_file;
  bool hints = false;
};
struct TopicCreate {
  std::string name;
  std::int32_t partitions = -1;
  std::int16_t replication_factor = -1;
  std::vector<std::string> configs;  ///< "name=value"
  bool if_not_exists = false;
};
struct TopicList {
  bool internal = false;
  bool names = false;  ///< nothing else
};
struct TopicDescribe {
  std::string name;
};
struct TopicAlter {
  std::string name;
  std::vector<std::string> set;  ///< "name=value"
  std::vector<std::string> unset;
};
struct TopicDelete {
  std::string name;
  bool if_exists = false;
};
struct TopicAddPartitions {
  std::string name;
  std::int32_t more = 0;
};
struct TopicDeleteRecords {
  std::string name;
  std::string before;
  std::vector<std::int32_t> partitions;  ///< empty: all
};
struct GroupList {
  std::vector<std::string> states;  ///< Kafka's names; empty: all
  bool names = false;               ///< nothing else
};
struct GroupDescribe {
  std::string group;
};
struct GroupMembers {
  std::string group;
};
struct GroupLag {
  std::string group;
  std::vector<std::string> topics;  ///< "TOPIC" or "TOPIC:0,3"; empty: all
  bool watch = false;
  std::int64_t interval_ms = 2000;  ///< between two looks
  std::uint64_t looks = 0;          ///< 0: without end
};
struct GroupSeek {
  std::string group;
  std::string to;
  std::vector<std::string> topics;
  bool execute = false;  ///< without it only the difference is shown
};
struct GroupDelete {
  std::vector<std::string> groups;
  bool if_exists = false;
};
struct GroupDeleteOffsets {
  std::string group;
  std::vector<std::string> topics;
};
struct Pub {
  std::string topic;
  std::optional<std::string> value;  ///< unset: lines of the file or of standard input
  std::string file;                  ///< lines of it; "-" or empty: standard input
  std::optional<std::string> key;
  std::string key_separator;  ///< lines are KEY<separator>VALUE
  std::vector<std::string> headers;
  std::int32_t partition = -1;
  Codec codec = Codec::none;
  std::int16_t acks = -1;
  std::uint64_t count = 1;  ///< of the argument: so many copies; of lines: at most so many, 0 all
  bool count_given = false;
  bool tombstone = false;  ///< null value
  bool json = false;       ///< lines are records as `sub -o ndjson` prints them
  double rate = 0;         ///< records per second; 0: as fast as it goes
};
struct Sub {
  std::vector<std::string> topics;
  std::vector<std::int32_t> partitions;  ///< empty: all
  std::string from = "end";
  std::uint64_t count = 0;  ///< 0: no end
  bool exit_at_end = false;
  std::string format;
  std::vector<std::string> where;  ///< see RecordFilter
  bool read_committed = false;
  bool readable = false;  ///< `tail`: a line with place and time, nothing in it that a terminal would act on
};
struct LogVerify {
  std::vector<std::string> paths;
  bool skip_records = false;
};
/// What could be done about what verify finds; changes nothing.
struct LogRepair {
  std::vector<std::string> paths;
  bool dry_run = false;
};
struct LogDump {
  std::string path;
  bool records = false;
  std::uint64_t count = 0;
};
struct ConfigExplain {
  std::string name;  ///< empty: all that are not defaults, or all
  bool all = false;
  std::vector<config::SettingInput> inputs;
  std::string properties_file;
};
/// Of a running broker, or what was set for all of them.
struct ConfigDescribe {
  std::string name;  ///< empty: all that are not defaults, or all
  bool all = false;
  std::optional<std::int32_t> broker;  ///< unset: the first
  bool cluster = false;
  std::optional<std::string> group;  ///< of this consumer group instead
};
struct ConfigAlter {
  std::vector<std::string> set;  ///< "name=value"
  std::vector<std::string> unset;
  std::optional<std::int32_t> broker;  ///< unset: for all
  std::optional<std::string> group;    ///< of this consumer group instead
};
/// Looks at the machine and the broker that runs, or would run, with these settings.
struct Doctor {
  std::vector<config::SettingInput> inputs;
  std::string properties_file;
  bool bootstrap_given = false;
  bool no_disk_test = false;
};
/// One archive for a bug report.
struct MakeBundle {
  std::vector<config::SettingInput> inputs;
  std::string properties_file;
  std::string log_file;
  std::string to;  ///< empty: a name with the time in the working directory
  bool bootstrap_given = false;
  bool no_disk_test = false;
};
struct Version {};
/// Records for any Kafka broker, and how they are sent. Rates are of records.
struct BenchLoad {
  std::string topic = "bench";
  std::int32_t partitions = 1;  ///< of a topic that is made for it
  std::uint64_t records = 0;    ///< stop after so many; 0: by time
  double seconds = 10;          ///< without `records`
  double warm_up_seconds = 1;   ///< of the same work before anything is counted
  std::uint32_t record_bytes = 1024;
  std::uint32_t batch_records = 0;  ///< at most; 0: as many as batch_bytes holds
  std::uint32_t batch_bytes = 128 << 10;
  std::int64_t linger_ms = 0;
  std::uint32_t connections = 1;
  std::uint32_t in_flight = 5;  ///< requests under way, of each connection
  Codec codec = Codec::none;
  std::int16_t acks = -1;
  double rate = 0;  ///< due times of an open loop; 0: as fast as answers come
  bool progress = false;
};
struct BenchProduce {
  BenchLoad load;
};
/// Reads a topic from its start: to its end, or over and over for some seconds.
struct BenchConsume {
  std::string topic = "bench";
  std::uint64_t records = 0;  ///< stop after so many; 0: at the end
  double seconds = 0;         ///< over and over for so long; 0: once
  double warm_up_seconds = 0;
  bool follow = false;  ///< what comes from now on instead
  std::uint32_t connections = 1;
  std::int32_t fetch_bytes = 8 << 20;
  bool progress = false;
};
/// Times from when a record was due to when a reader had it.
struct BenchEndToEnd {
  BenchLoad load;
};
enum class GroupWork { heartbeat, commit, join, rebalance };
/// Consumer groups that are made, loaded and removed.
struct BenchGroups {
  GroupWork work = GroupWork::heartbeat;
  bool consumer_protocol = false;  ///< KIP-848
  std::uint32_t groups = 100;
  std::uint32_t members = 5;  ///< of each
  std::string topic = "bench-groups";
  std::int32_t partitions = 10;        ///< of a topic that is made for it
  std::int32_t commit_partitions = 1;  ///< of each commit
  std::int64_t session_ms = 45'000;    ///< of classic members
  std::uint64_t operations = 0;        ///< stop after so many; 0: by time
  double seconds = 10;
  double warm_up_seconds = 1;
  std::uint32_t connections = 0;  ///< 0: 10, or as many as a group has members
  std::uint32_t in_flight = 5;    ///< requests under way, of each connection
  double rate = 0;                ///< operations per second of an open loop; 0: as fast as answers come
  bool progress = false;
};
struct Completion {
  std::string shell;
  std::string script;  ///< made by the parser, which knows all commands
};

struct CommandLine {
  Common common;
  std::variant<Version, Serve, TopicCreate, TopicList, TopicDescribe, TopicAlter, TopicDelete, TopicAddPartitions,
               TopicDeleteRecords, GroupList, GroupDescribe, GroupMembers, GroupLag, GroupSeek, GroupDelete,
               GroupDeleteOffsets, Pub, Sub, LogVerify, LogRepair, LogDump, ConfigExplain, ConfigDescribe, ConfigAlter,
               Doctor, MakeBundle, BenchProduce, BenchConsume, BenchEndToEnd, BenchGroups, Completion>
      command;
};

}  // namespace mr::cli
