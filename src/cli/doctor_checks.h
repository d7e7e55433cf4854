#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/broker_settings.h"
#include "model/ids.h"
#include "runtime/machine_facts.h"

/// What facts about a machine and a broker mean, and what to do about them. Pure: doctor_facts.cc gathers, doctor.cc
/// prints.
namespace mr::cli {

enum class CheckState { ok, warn, bad };
std::string_view to_string(CheckState state);

struct Check {
  std::string name;
  CheckState state = CheckState::ok;
  std::string found;
  std::string fix;  ///< a command or setting to type; empty: nothing to do
};
using Checks = std::vector<Check>;

/// One entry of log.dirs.
struct DirectoryFacts {
  std::string path;
  std::string user;  ///< who asks
  /// The directory itself, or the nearest one above it that is there.
  std::string there;
  std::optional<Error> unusable;  ///< why `there` cannot be written to
  LockState lock;
  std::optional<Error> identity_error;  ///< meta.properties: newer_format, corrupt_data, permission_denied, ...
  std::string cluster_id;               ///< empty: nobody's yet
  std::optional<std::int64_t> node_id;
  std::size_t partitions = 0;
  std::size_t unusable_files = 0;  ///< that this user cannot read and write
  std::string unusable_example;
  std::optional<Mount> mount;
  std::optional<SpaceInfo> space;
  std::uint64_t reserve_bytes = 0;
  std::uint64_t journal_bytes = 0;  ///< what commit journals will take
  bool sync_tested = false;
  std::optional<Error> sync_error;
  std::optional<Duration> sync_median, sync_p99;

  bool exists() const { return there == path; }
};
Checks judge_directory(const DirectoryFacts& facts, std::int64_t own_node_id);

struct MachineFacts {
  DescriptorLimits descriptors;
  std::size_t partitions = 0;
  std::int64_t connections_max = 0;  ///< the setting
  std::uint64_t usable_memory_bytes = 0;
  std::int64_t memory_setting = 0;  ///< 0: half of it
  std::size_t cores = 0;
  std::int32_t shards_setting = 0;
  std::optional<ClockState> clock;
};
Checks judge_machine(const MachineFacts& facts);

/// One address to listen on.
struct ListenerFacts {
  std::string option;  ///< "listeners" or "http.listeners"
  std::string name;
  Address address;
  std::optional<Error> cannot_listen;
  bool answers_as_ours = false;  ///< what answers there is the broker of these data directories
  bool directory_in_use = false;
};
Check judge_listener(const ListenerFacts& facts);

/// What clients of one listener are told to connect to.
struct AdvertisedFacts {
  std::string listener;
  Address listen;
  std::optional<Address> advertised;
  std::optional<Error> unresolved;
  std::vector<std::string> resolved;
  bool in_container = false;
};
Check judge_advertised(const AdvertisedFacts& facts);
/// A broker that was asked over the network.
struct BrokerFacts {
  Address asked;
  bool given = false;             ///< somebody named it with -b
  bool directory_in_use = false;  ///< a process has the data directories
  std::optional<Error> error;     ///< it does not answer
  std::string cluster_id;
  std::size_t topics = 0;
  std::string version;       ///< by HTTP; empty: not known
  std::string own_version;   ///< of this program
  std::string http_address;  ///< empty: not known
  std::string http_status;   ///< what /readyz says: "ok", "recovering", ...; empty: it was not reached
  struct Told {
    BrokerId id;
    Address address;
    std::optional<Error> error;  ///< cannot be reached from here
    bool same_broker = true;     ///< what answers there is of the same cluster
  };
  std::vector<Told> told;  ///< the brokers of its Metadata answer
};
Checks judge_broker(const BrokerFacts& facts);

/// The worst of all.
CheckState worst(const Checks& checks);

}  // namespace mr::cli
