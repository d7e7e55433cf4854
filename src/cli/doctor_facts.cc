#include "cli/doctor_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/version.h"
#include "broker/disk_space.h"
#include "cli/http_get.h"
#include "cli/session.h"
#include "runtime/machine.h"
#include "storage/data_dir.h"
#include "storage/segment_names.h"

namespace mr::cli {

namespace {

constexpr std::size_t kFilesMax = 1'000'000;
constexpr Duration kSyncTest = std::chrono::seconds(1);
constexpr Duration kConnectPatience = std::chrono::seconds(5);

Address reachable(Address address) {
  if (address.host.empty() || address.host == "0.0.0.0" || address.host == "::") address.host = "127.0.0.1";
  return address;
}

/// Reads meta.properties. What is missing is nobody's yet.
void look_at_identity(DirectoryFacts& f) {
  const std::string path = f.path + "/" + std::string(storage::kIdentityName);
  auto text = read_small_file(path, 64 << 10);
  if (!text.ok()) {
    if (text.code() != Errc::not_found) f.identity_error = text.error();
    return;
  }
  if (auto fits = storage::DataDir::check_identity(*text); !fits.ok()) {
    f.identity_error = Error(fits.code(), fmt::format("{}: {}", path, fits.error().detail()));
    return;
  }
  auto properties = config::parse_properties(*text, path);
  if (!properties.ok()) {
    f.identity_error = properties.error();
    return;
  }
  for (const config::SettingInput& p : *properties) {
    if (p.name == "cluster.id") f.cluster_id = p.value;
    if (p.name != "node.id" && p.name != "broker.id") continue;
    std::int64_t id = 0;
    if (std::from_chars(p.value.data(), p.value.data() + p.value.size(), id).ec == std::errc{}) f.node_id = id;
  }
}

/// Counts partitions and the files of ours that this user cannot use. Foreign ones are left alone, as by the broker.
void look_at_files(DirectoryFacts& f) {
  auto partition_of = [](std::string_view path) {
    return storage::parse_partition_directory(path.substr(0, path.find('/')));
  };
  auto entries = real_files().list(f.path);
  if (!entries.ok()) return;
  for (const DirEntry& entry : *entries)
    if (entry.is_directory && storage::parse_partition_directory(entry.name)) ++f.partitions;
  auto unusable = [&](const std::string& path) {
    if (path.find('/') != std::string::npos && !partition_of(path)) return;
    if (f.unusable_files++ == 0) f.unusable_example = path;
  };
  auto listing = list_files(f.path, kFilesMax);
  if (!listing.ok()) return;
  for (const std::string& path : listing->unreadable_directories)
    if (partition_of(path)) unusable(path);
  for (const ListedFile& file : listing->files)
    if (!file.usable) unusable(file.path);
}

DirectoryFacts look_at_directory(const config::BrokerSettings& settings, const std::string& path, bool disk_test,
                                 std::uint32_t shards) {
  DirectoryFacts f{.path = path, .user = user_name(), .there = path};
  while (true) {
    auto exists = real_files().exists(f.there);
    const std::string above = storage::parent_directory(f.there);
    if ((exists.ok() && *exists) || above == f.there) break;
    f.there = above.empty() ? "/" : above;
  }
  if (auto usable = may_use_directory(f.there); !usable.ok()) f.unusable = usable.error();
  f.mount = mount_of(f.there);
  if (auto space = real_files().space(f.there); space.ok()) f.space = *space;
  const std::uint64_t total = f.space ? f.space->total_bytes : 0;
  const std::uint64_t memory = usable_memory_bytes() / settings.config.log_dirs.size();
  const bool is_default = settings.of("disk.reserve.bytes").origin == config::Origin::default_value;
  f.reserve_bytes =
      broker::reserve_of(static_cast<std::uint64_t>(settings.config.disk_reserve_bytes), is_default, total);
  f.journal_bytes = 2 * broker::journal_half(total, memory, shards) * shards;
  if (f.exists()) {
    auto lock = lock_state(path + "/.lock");
    if (lock.ok()) f.lock = *lock;
    look_at_identity(f);
    look_at_files(f);
  }
  const bool room = f.space && f.space->free_bytes > f.reserve_bytes + (8u << 20);
  if (disk_test && !f.unusable && room) {
    f.sync_tested = true;
    auto times = measure_syncs(f.there, kSyncTest);
    if (times.ok()) {
      f.sync_median = times->percentile(0.5);
      f.sync_p99 = times->percentile(0.99);
    } else {
      f.sync_error = times.error();
    }
  }
  return f;
}

/// What is known before anybody is asked over the network, and the questions.
struct Questions {
  std::vector<ListenerFacts> listeners;
  BrokerFacts broker;
  std::vector<Address> bootstrap;
  std::optional<Address> http;
  std::string cluster_id;  ///< of the data directories; empty: nobody's yet
  Duration patience;
};

Task<void> ask(Env& env, Questions& q) {
  const TimePoint end = env.now() + q.patience;
  auto soon = [&] { return std::min(end, env.now() + kConnectPatience); };
  for (ListenerFacts& listener : q.listeners) {
    if (!listener.cannot_listen || listener.cannot_listen->code() != Errc::in_use || q.cluster_id.empty()) continue;
    const Address address = reachable(listener.address);
    if (listener.option == "http.listeners") {
      auto answer = co_await http_get(env, address, "/health", soon());
      // While it starts it does not know its cluster yet.
      listener.answers_as_ours = answer.ok() && (json_text_member(answer->body, "cluster_id") == q.cluster_id ||
                                                 (listener.directory_in_use && q.http && *q.http == address));
    } else {
      auto info = co_await ask_cluster(env, {address}, soon());
      listener.answers_as_ours = info.ok() && info->cluster_id == q.cluster_id;
    }
  }
  if (q.http) {
    auto answer = co_await http_get(env, *q.http, "/readyz", soon());
    if (answer.ok()) {
      q.broker.http_address = q.http->to_string();
      q.broker.http_status = json_text_member(answer->body, "status");
      q.broker.version = json_text_member(answer->body, "version");
    }
  }
  auto info = co_await ask_cluster(env, q.bootstrap, soon());
  if (!info.ok()) {
    q.broker.error = info.error();
    co_return;
  }
  q.broker.cluster_id = info->cluster_id;
  q.broker.topics = info->topics.size();
  for (const client::BrokerInfo& one : info->brokers) {
    BrokerFacts::Told& told = q.broker.told.emplace_back();
    told.id = one.id;
    told.address = one.address;
    auto there = co_await ask_cluster(env, {one.address}, soon());
    if (!there.ok()) told.error = there.error();
    told.same_broker = !there.ok() || there->cluster_id == info->cluster_id;
  }
}

/// Addresses to listen on; entries that do not parse were refused with the settings.
std::vector<ListenerFacts> look_at_listeners(const config::BrokerSettings& settings, bool directory_in_use) {
  std::vector<ListenerFacts> all;
  auto add = [&](const char* option, const std::vector<std::string>& entries) {
    for (const std::string& entry : entries) {
      auto wanted = config::parse_listener(entry);
      if (!wanted.ok()) continue;
      ListenerFacts f{.option = option,
                      .name = wanted->name,
                      .address = {wanted->host, wanted->port},
                      .directory_in_use = directory_in_use};
      if (auto may = may_listen(f.address); !may.ok()) f.cannot_listen = may.error();
      all.push_back(std::move(f));
    }
  };
  add("listeners", settings.config.listeners);
  add("http.listeners", settings.config.http_listeners);
  return all;
}

Checks look_at_advertised(const config::BrokerSettings& settings) {
  auto listeners = config::parse_listeners(settings.config.listeners);
  auto advertised = config::parse_listeners(settings.config.advertised_listeners);
  if (!listeners.ok() || !advertised.ok()) return {};
  Checks checks;
  for (const config::ListenerAddress& listener : *listeners) {
    AdvertisedFacts f{
        .listener = listener.name, .listen = {listener.host, listener.port}, .in_container = in_container()};
    auto own = std::ranges::find(*advertised, listener.name, &config::ListenerAddress::name);
    if (own != advertised->end()) {
      f.advertised = Address{own->host, own->port};
      auto found = addresses_of(own->host);
      if (found.ok()) {
        f.resolved = std::move(*found);
      } else {
        f.unresolved = found.error();
      }
    }
    checks.push_back(judge_advertised(f));
  }
  return checks;
}

}  // namespace

Result<ReadyFile> read_ready_file(const std::string& data_directory) {
  MR_TRY(std::string text, read_small_file(data_directory + "/ready.json", 64 << 10));
  ReadyFile ready;
  auto kafka = Address::parse(json_text_member(text, "kafka"));
  if (kafka.ok()) ready.kafka = *kafka;
  auto http = Address::parse(json_text_member(text, "http"));
  if (http.ok()) ready.http = *http;
  ready.text = std::move(text);
  return ready;
}

Task<Result<client::ClusterInfo>> ask_cluster(Env& env, std::vector<Address> addresses, TimePoint deadline) {
  client::Cluster::Options options{.bootstrap = std::move(addresses)};
  options.connection.client_id = "millrace-cli";
  client::Cluster cluster(env, std::move(options));
  auto info = co_await cluster.describe(deadline);
  co_await cluster.close();
  co_return info;
}

Diagnosis diagnose(const config::BrokerSettings& settings, const DoctorOptions& options) {
  auto say_now = [&](std::string_view what) {
    if (options.now_looking) options.now_looking(what);
  };
  const config::BrokerConfig& config = settings.config;
  Diagnosis d;
  for (const std::string& warning : settings.warnings) d.checks.push_back({"settings", CheckState::warn, warning, ""});
  MachineFacts machine{.descriptors = descriptor_limits(),
                       .connections_max = config.max_connections,
                       .usable_memory_bytes = usable_memory_bytes(),
                       .memory_setting = config.memory,
                       .cores = usable_cores().size(),
                       .shards_setting = config.shards,
                       .clock = clock_state()};
  const auto shards =
      static_cast<std::uint32_t>(config.shards > 0 ? static_cast<std::size_t>(config.shards) : machine.cores);
  Questions q{.patience = options.patience};
  bool in_use = false;
  for (const std::string& path : config.log_dirs) {
    say_now(path);
    DirectoryFacts f = look_at_directory(settings, path, options.disk_test, shards);
    machine.partitions += f.partitions;
    in_use = in_use || f.lock.held;
    if (q.cluster_id.empty()) q.cluster_id = f.cluster_id;
    for (Check& check : judge_directory(f, config.node_id)) d.checks.push_back(std::move(check));
  }
  for (Check& check : judge_machine(machine)) d.checks.push_back(std::move(check));

  say_now("network");
  q.listeners = look_at_listeners(settings, in_use);
  Result<ReadyFile> ready = Errc::not_found;
  if (in_use) ready = read_ready_file(config.log_dirs.front());
  for (const ListenerFacts& f : q.listeners) {
    if (f.address.port == 0) continue;
    std::optional<Address>& place = f.option == "listeners" ? d.kafka : d.http;
    if (!place) place = reachable(f.address);
  }
  if (ready.ok() && ready->kafka) d.kafka = ready->kafka;
  if (ready.ok()) d.http = ready->http;
  q.broker.given = !options.bootstrap.empty();
  // What HTTP says is of the broker of these settings: of another one nothing is known.
  const bool own =
      !q.broker.given || (d.kafka && std::ranges::find(options.bootstrap, *d.kafka) != options.bootstrap.end());
  if (own) q.http = d.http;
  q.bootstrap = options.bootstrap;
  if (q.bootstrap.empty() && d.kafka) q.bootstrap = {*d.kafka};
  if (q.bootstrap.empty()) {
    d.checks.push_back({"broker", CheckState::ok, "none is running", ""});
  } else {
    d.kafka = q.broker.asked = q.bootstrap.front();
    q.broker.directory_in_use = in_use;
    q.broker.own_version = kVersion;
    with_env([&](Env& env) { return ask(env, q); });
  }
  for (const ListenerFacts& f : q.listeners) d.checks.push_back(judge_listener(f));
  for (Check& check : look_at_advertised(settings)) d.checks.push_back(std::move(check));
  if (!q.bootstrap.empty())
    for (Check& check : judge_broker(q.broker)) d.checks.push_back(std::move(check));
  return d;
}

}  // namespace mr::cli
