#pragma once
#include <functional>
#include <optional>
#include <string>

#include "cli/doctor_checks.h"
#include "client/cluster.h"

/// Looks at this machine and at the broker that runs, or would run, with some settings.
namespace mr::cli {

/// Where the broker of a data directory says that it answers (DIR/ready.json).
struct ReadyFile {
  std::string text;
  std::optional<Address> kafka;
  std::optional<Address> http;
};
/// Errors: those of a file; the sentence names it.
Result<ReadyFile> read_ready_file(const std::string& data_directory);

struct DoctorOptions {
  std::vector<Address> bootstrap;  ///< empty: the broker that has the data directory, else where one would listen
  bool disk_test = true;
  Duration patience = std::chrono::seconds(30);       ///< for all questions to brokers
  std::function<void(std::string_view)> now_looking;  ///< for a line of progress; may be empty
};
struct Diagnosis {
  Checks checks;
  std::optional<Address> kafka;  ///< the broker that was asked, whether it answered or not
  std::optional<Address> http;   ///< where its HTTP should answer
};
/// Changes nothing; the disk test writes a nameless file of 1 MiB. Blocks: not on a shard.
Diagnosis diagnose(const config::BrokerSettings& settings, const DoctorOptions& options);

/// All that a broker's metadata says, over connections of its own.
Task<Result<client::ClusterInfo>> ask_cluster(Env& env, std::vector<Address> addresses, TimePoint deadline);

}  // namespace mr::cli
