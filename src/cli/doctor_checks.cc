#include "cli/doctor_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"

namespace mr::cli {

namespace {

/// Below this no device answers a flush, so something before it does. Datacenter drives with capacitors: 15 to 50 us.
constexpr Duration kTooFastToBeTrue = std::chrono::microseconds(10);
constexpr Duration kSlowMedian = std::chrono::milliseconds(15);
constexpr Duration kSlowP99 = std::chrono::milliseconds(100);
/// A busy partition has its segment and two indexes open; idle ones nothing.
constexpr std::uint64_t kFilesPerPartition = 3;
constexpr std::uint64_t kOtherFiles = 100;
constexpr std::uint64_t kUsualConnections = 1000;
constexpr std::uint64_t kLeastMemory = 256ull << 20;
constexpr std::uint64_t kUnlimited = 1ull << 31;

double micros(Duration d) { return std::chrono::duration<double, std::micro>(d).count(); }
std::string shown(Duration d) {
  const double us = micros(d);
  if (us < 1000) return fmt::format("{:.0f} us", us);
  return fmt::format("{:.1f} ms", us / 1000);
}
std::string shown(const Error& error) { return error.detail().empty() ? error.message() : error.detail(); }
std::string bytes(std::uint64_t n) { return human_bytes(static_cast<double>(n)); }

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }
bool is_everywhere(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

Check not_usable(const DirectoryFacts& f, Check check) {
  check.state = CheckState::bad;
  const Error& error = *f.unusable;
  if (error.code() == Errc::permission_denied) {
    check.found = f.exists() ? fmt::format("user {} may not write there", f.user)
                             : fmt::format("not there, and user {} may not make it in {}", f.user, f.there);
    check.fix = fmt::format("sudo install -d -o {} {}", f.user, f.path);
  } else if (error.code() == Errc::disk_failed) {
    check.found = fmt::format("the file system is read-only: {}", shown(error));
    check.fix = "dmesg | tail: a file system that met an error goes read-only";
  } else {
    check.found = shown(error);
    check.fix = fmt::format("choose a directory with --data-dir, or: mkdir -p {}", f.path);
  }
  return check;
}

Check judge_identity(const DirectoryFacts& f, std::int64_t own_node_id, Check check) {
  const Error* error = f.identity_error ? &*f.identity_error : nullptr;
  if (error != nullptr) {
    check.state = CheckState::bad;
    check.found = shown(*error);
    if (error->code() == Errc::newer_format) {
      check.found = "written by a newer version: " + check.found;
      check.fix = "start the version that wrote it; this one would not understand it";
    } else if (error->code() == Errc::permission_denied) {
      check.fix = fmt::format("sudo chown -R {} {}", f.user, f.path);
    } else {
      check.fix = fmt::format("docs/damage.md; millrace log verify {}", f.path);
    }
  } else if (f.unusable_files > 0) {
    check.state = CheckState::bad;
    check.found = fmt::format("user {} may not read and write {} file{} in it, such as {}", f.user, f.unusable_files,
                              f.unusable_files == 1 ? "" : "s", f.unusable_example);
    check.fix = fmt::format("sudo chown -R {} {}", f.user, f.path);
  } else if (f.node_id && *f.node_id != own_node_id) {
    check.state = CheckState::bad;
    check.found = fmt::format("belongs to node {}, and node.id is {}", *f.node_id, own_node_id);
    check.fix = fmt::format("--set node.id={}, or another --data-dir", *f.node_id);
  } else {
    check.found = f.lock.held && f.lock.process > 0 ? fmt::format("in use by process {}", f.lock.process)
                  : f.lock.held                     ? "in use by a process of another container or user"
                                                    : "free";
    check.found +=
        f.node_id ? fmt::format(", node {}, {} partition{}", *f.node_id, f.partitions, f.partitions == 1 ? "" : "s")
                  : ", nobody's yet";
  }
  return check;
}

Check judge_file_system(const DirectoryFacts& f) {
  Check check{"file system", CheckState::ok, "", ""};
  const Mount& mount = *f.mount;
  check.found = fmt::format("{} on {} ({})", mount.kind, mount.point, mount.source);
  const std::string& kind = mount.kind;
  const bool network = kind.starts_with("nfs") || kind == "cifs" || kind == "smb3" || kind == "ceph" || kind == "9p" ||
                       kind == "virtiofs" || kind == "glusterfs" || kind == "afs" || kind.starts_with("fuse.");
  if (kind == "tmpfs" || kind == "ramfs") {
    check.state = CheckState::warn;
    check.found += ": memory, gone after a restart of the machine";
    check.fix = "--data-dir on a disk";
  } else if (kind == "overlay" || kind == "aufs") {
    check.state = CheckState::warn;
    check.found += ": a container's own layer, gone with the container";
    check.fix = fmt::format("mount a volume: docker run -v millrace:{} ...", f.path);
  } else if (network) {
    check.state = CheckState::warn;
    check.found += ": over a network or another program, whose flushes and locks are its own";
    check.fix = "--data-dir on a local disk";
  }
  return check;
}

Check judge_space(const DirectoryFacts& f) {
  Check check{"free space", CheckState::ok, "", ""};
  const std::uint64_t free = f.space->free_bytes;
  check.found = fmt::format("{} of {} free, {} kept in reserve", bytes(free), bytes(f.space->total_bytes),
                            bytes(f.reserve_bytes));
  const std::string room = fmt::format("make room, or let records go earlier: --set log.retention.bytes=N");
  if (free < f.reserve_bytes) {
    check.state = CheckState::bad;
    check.found += ": appends are refused";
    check.fix = room + "; --set disk.reserve.bytes=N takes from the reserve";
  } else if (!f.lock.held && free < f.reserve_bytes + f.journal_bytes) {
    check.state = CheckState::warn;
    check.found += fmt::format("; commit journals take up to {} of it", bytes(f.journal_bytes));
    check.fix = room;
  } else if (free < f.space->total_bytes / 20) {
    check.state = CheckState::warn;
    check.fix = room;
  }
  return check;
}

Check judge_syncs(const DirectoryFacts& f) {
  Check check{"sync speed", CheckState::ok, "", ""};
  if (f.sync_error) {
    check.state = CheckState::bad;
    check.found = shown(*f.sync_error);
    check.fix = f.sync_error->code() == Errc::disk_full ? "make room" : "dmesg | tail: the disk may be failing";
    return check;
  }
  check.found = fmt::format(
      "4 KiB and fdatasync: median {}, p99 {}; a producer that waits for each ack gets about "
      "{:.0f} a second, many producers share a sync",
      shown(*f.sync_median), shown(*f.sync_p99), 1e6 / std::max(micros(*f.sync_median), 1.0));
  if (*f.sync_median < kTooFastToBeTrue) {
    check.found += ". Faster than any device: something before it answers, and a power cut may take what was acked";
  } else if (*f.sync_median > kSlowMedian || *f.sync_p99 > kSlowP99) {
    check.state = CheckState::warn;
    check.fix =
        "--data-dir on an SSD; for topics that may lose their newest records in a power cut: flush.messages above 1";
  }
  return check;
}

}  // namespace

std::string_view to_string(CheckState state) {
  switch (state) {
    case CheckState::ok:
      return "ok";
    case CheckState::warn:
      return "warn";
    case CheckState::bad:
      return "bad";
  }
  return "";
}

CheckState worst(const Checks& checks) {
  CheckState found = CheckState::ok;
  for (const Check& check : checks) found = std::max(found, check.state);
  return found;
}

Checks judge_directory(const DirectoryFacts& f, std::int64_t own_node_id) {
  Checks checks;
  Check first{"directory", CheckState::ok, "", ""};
  if (f.unusable) {
    first = not_usable(f, std::move(first));
  } else if (!f.exists()) {
    first.found = "not there yet; the broker makes it";
  } else {
    first = judge_identity(f, own_node_id, std::move(first));
  }
  checks.push_back(std::move(first));
  if (f.mount) checks.push_back(judge_file_system(f));
  if (f.space) checks.push_back(judge_space(f));
  if (f.sync_tested) checks.push_back(judge_syncs(f));
  for (Check& check : checks) check.name += " " + f.path;
  return checks;
}

namespace {

Check judge_descriptors(const MachineFacts& f) {
  Check check{"open files", CheckState::ok, "", ""};
  const bool bounded = f.connections_max < static_cast<std::int64_t>(kUnlimited) - 1;
  const std::uint64_t connections = bounded ? static_cast<std::uint64_t>(f.connections_max) : kUsualConnections;
  const std::uint64_t needed = connections + kFilesPerPartition * f.partitions + kOtherFiles;
  auto limit = [](std::uint64_t n) { return n >= kUnlimited ? std::string("unlimited") : std::to_string(n); };
  check.found = fmt::format("limit {} (soft {}; the broker raises it); {} partitions and {} connections need up to {}",
                            limit(f.descriptors.hard), limit(f.descriptors.soft), f.partitions, connections, needed);
  if (f.descriptors.hard < needed) {
    // Connections are refused one by one; partitions that cannot be opened are worse.
    check.state =
        f.descriptors.hard < kFilesPerPartition * f.partitions + kOtherFiles ? CheckState::bad : CheckState::warn;
    check.fix = "systemd: LimitNOFILE=1048576; shell: ulimit -Hn 1048576 (as root); docker run --ulimit nofile=1048576";
  }
  return check;
}

Check judge_memory(const MachineFacts& f) {
  Check check{"memory", CheckState::ok, "", ""};
  const std::uint64_t usable = f.usable_memory_bytes;
  const std::uint64_t budget = f.memory_setting > 0 ? static_cast<std::uint64_t>(f.memory_setting) : usable / 2;
  check.found = fmt::format("{} usable, --memory is {}{}", bytes(usable), bytes(budget),
                            f.memory_setting > 0 ? "" : " (half of it)");
  if (budget > usable) {
    check.state = CheckState::bad;
    check.fix = fmt::format("--memory {}MiB, or more memory for the machine or container", usable / 2 >> 20);
  } else if (budget > usable / 5 * 4) {
    check.state = CheckState::warn;
    check.found += ": little is left for the page cache, from which consumers read";
    check.fix = fmt::format("--memory {}MiB", usable / 2 >> 20);
  } else if (usable < kLeastMemory) {
    check.state = CheckState::warn;
    check.found += ": very little";
    check.fix = "more memory for the machine or container";
  }
  return check;
}

Check judge_clock(const MachineFacts& f) {
  Check check{"clock", CheckState::ok, "", ""};
  if (!f.clock) {
    check.found = "the kernel does not say whether it is synchronised";
  } else if (f.clock->synchronised) {
    check.found = fmt::format("synchronised, off by {:.0f} ms at most", f.clock->error_ms_max);
  } else {
    check.state = CheckState::warn;
    check.found = "not synchronised: retention, timestamps and offsets by time go by it";
    check.fix = "sudo timedatectl set-ntp true, or: sudo apt-get install chrony";
  }
  return check;
}

}  // namespace

Checks judge_machine(const MachineFacts& f) {
  Check cores{"cores", CheckState::ok, "", ""};
  const std::size_t shards = f.shards_setting > 0 ? static_cast<std::size_t>(f.shards_setting) : f.cores;
  cores.found = fmt::format("{} usable, {} shard{}", f.cores, shards, shards == 1 ? "" : "s");
  if (shards > f.cores) {
    cores.state = CheckState::warn;
    cores.found += ": more threads that serve than cores";
    cores.fix = "--shards 0: one per core";
  }
  return {judge_descriptors(f), judge_memory(f), std::move(cores), judge_clock(f)};
}

Check judge_listener(const ListenerFacts& f) {
  const bool http = f.option == "http.listeners";
  Check check{fmt::format("{} {}", http ? "http" : "listener", f.address.to_string()), CheckState::ok, "", ""};
  const std::string_view flag = http ? "--http" : "--kafka";
  if (f.address.port == 0) {
    check.found = "any free port; ready.json says which";
  } else if (f.answers_as_ours) {
    check.found = "the running broker listens there";
  } else if (!f.cannot_listen) {
    check.found = "free";
    if (f.directory_in_use) check.found += "; the running broker listens elsewhere";
  } else if (f.cannot_listen->code() == Errc::in_use) {
    check.state = CheckState::bad;
    check.found = "taken by another program";
    check.fix =
        fmt::format("ss -ltnp 'sport = :{}' shows it; stop it, or choose another port with {}", f.address.port, flag);
  } else if (f.cannot_listen->code() == Errc::permission_denied) {
    check.state = CheckState::bad;
    check.found = "not allowed: ports below 1024 need privileges";
    check.fix = fmt::format("{} with a port from 1024 on; systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE", flag);
  } else {
    check.state = CheckState::bad;
    check.found = shown(*f.cannot_listen);
    check.fix = fmt::format("{} 0.0.0.0:{} listens on every address of this machine; ip -br addr lists them", flag,
                            f.address.port);
  }
  return check;
}

Check judge_advertised(const AdvertisedFacts& f) {
  Check check{"advertised " + f.listener, CheckState::ok, "", ""};
  auto fix_with = [&](std::string_view host) {
    const std::uint16_t port = f.advertised && f.advertised->port != 0 ? f.advertised->port : f.listen.port;
    return fmt::format("--set advertised.listeners={}://{}:{}", f.listener, host, port);
  };
  if (!f.advertised) {
    if (is_loopback(f.listen.host)) {
      check.found = "clients on this machine only: it listens on loopback";
    } else if (f.in_container) {
      check.state = CheckState::warn;
      check.found = "unset, in a container: clients outside are told the container's own address";
      check.fix = fix_with("NAME-THAT-CLIENTS-USE");
    } else {
      check.found = "unset: clients are told the address that they have connected to";
    }
    return check;
  }
  check.found = f.advertised->to_string();
  if (is_everywhere(f.advertised->host)) {
    check.state = CheckState::bad;
    check.found += " is no address to connect to";
    check.fix = fix_with("NAME-OF-THIS-MACHINE");
  } else if (f.unresolved) {
    check.state = CheckState::bad;
    check.found += ": " + shown(*f.unresolved);
    check.fix = fix_with("A-NAME-THAT-RESOLVES") + "; getent hosts NAME shows what does";
  } else {
    const bool loopback = std::ranges::all_of(f.resolved, is_loopback);
    std::string all;
    for (const std::string& host : f.resolved) all += (all.empty() ? "" : ", ") + host;
    if (all != f.advertised->host) check.found += " (" + all + ")";
    if (loopback && !is_loopback(f.listen.host)) {
      check.state = CheckState::warn;
      check.found += ": clients on other machines will connect to themselves";
      check.fix = fix_with("NAME-OF-THIS-MACHINE");
    }
  }
  return check;
}

Checks judge_broker(const BrokerFacts& f) {
  Check first{"broker " + f.asked.to_string(), CheckState::ok, "", ""};
  if (f.error) {
    first.found = shown(*f.error);
    if (f.http_status == "starting" || f.http_status == "recovering") {
      first.state = CheckState::warn;
      first.found = fmt::format("it starts: {}", f.http_status);
      first.fix = fmt::format("curl http://{}/readyz says how far it is", f.http_address);
    } else if (f.given) {
      first.state = CheckState::bad;
      first.fix = "is it running, and is this its address? -b chooses another";
    } else if (f.directory_in_use) {
      first.state = CheckState::bad;
      first.found = "the data directory is in use, and no broker answers: " + first.found;
      first.fix = "the log of that process says what it does; -b HOST:PORT when it listens elsewhere";
    } else {
      first.found = "none is running";
    }
    return {std::move(first)};
  }
  first.found = fmt::format("answers; cluster {}, {} broker{}, {} topic{}", f.cluster_id, f.told.size(),
                            f.told.size() == 1 ? "" : "s", f.topics, f.topics == 1 ? "" : "s");
  if (!f.version.empty()) first.found += ", version " + f.version;
  if (!f.version.empty() && f.version != f.own_version) {
    first.state = CheckState::warn;
    first.found += fmt::format(", and this program is {}", f.own_version);
    first.fix = "restart the broker with the program that is installed";
  }
  if (f.http_status == "degraded") {
    first.state = CheckState::bad;
    first.found += "; a log directory is offline";
    first.fix = fmt::format("curl http://{}/readyz says which and why", f.http_address);
  }
  Checks checks = {std::move(first)};
  for (const BrokerFacts::Told& told : f.told) {
    Check check{fmt::format("address of broker {}", told.id.v), CheckState::ok, "", ""};
    check.found = fmt::format("clients are told {}", told.address.to_string());
    if (told.error) {
      check.state = CheckState::bad;
      check.found += fmt::format(", which does not answer from here: {}", shown(*told.error));
    } else if (!told.same_broker) {
      check.state = CheckState::bad;
      check.found += ", where another cluster's broker answers";
    } else {
      check.found += ", which answers from here";
    }
    if (check.state == CheckState::bad)
      check.fix =
          fmt::format("--set advertised.listeners=PLAINTEXT://{} (an address that clients reach)", f.asked.to_string());
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace mr::cli
