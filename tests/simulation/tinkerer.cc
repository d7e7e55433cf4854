#include "tests/simulation/tinkerer.h"

#include <fmt/format.h>

#include "wire/api/create_partitions.h"
#include "wire/api/describe_configs.h"
#include "wire/api/incremental_alter_configs.h"

namespace mr::sim {

using std::chrono::seconds;
using wire::KafkaError;

namespace {
constexpr Duration kAnswerLimit = seconds(90);
constexpr std::int8_t kTopic = 2;
constexpr std::int8_t kSetByTopic = 1;
constexpr std::int8_t kSet = 0;
constexpr std::int8_t kRemove = 1;
constexpr std::int32_t kPartitionsMax = 6;

struct Choice {
  std::string_view name;
  std::string_view values[3];
};
/// Nothing that would have records deleted: the ledger wants them all.
constexpr Choice kChoices[] = {
    {"retention.ms", {"604800000", "-1", "1000000000"}},   {"retention.bytes", {"-1", "1000000000", "2000000000"}},
    {"segment.bytes", {"1048576", "2000000", "67108864"}}, {"segment.ms", {"300", "2000", "604800000"}},
    {"compression.type", {"producer", "gzip", "lz4"}},     {"min.insync.replicas", {"1", "2", "3"}}};
}  // namespace

Task<void> Tinkerer::run() {
  while (!seat_.stage.stop_all && !seat_.stage.stop_producing && seat_.stage.ledger.ok()) {
    auto link = co_await Link::open(seat_.env, seat_.stage.bootstrap, seat_.name);
    Result<void> outcome;
    while (link.ok() && outcome.ok() && !seat_.stage.stop_all && !seat_.stage.stop_producing && seat_.stage.ledger.ok())
      outcome = co_await round(**link);
    if (!outcome.ok() && (outcome.code() == Errc::malformed || outcome.code() == Errc::timed_out))
      seat_.stage.ledger.violation(seat_.name + ": " + outcome.error().message());
    if (link.ok()) (*link)->close();
    // What the lost connection asked for last may still be under way: it shall not come behind the next change.
    if (!(co_await sleep_until(seat_.env.now() + seconds(1))).ok()) break;
  }
  ended_ = true;
}

Task<void> Tinkerer::look_once() {
  while (!seat_.stage.stop_all && !looked_ && seat_.stage.ledger.ok()) {
    auto link = co_await Link::open(seat_.env, seat_.stage.bootstrap, seat_.name);
    if (link.ok()) {
      auto seen = co_await look(**link);
      looked_ = seen.ok() && *seen;
      (*link)->close();
    }
    if (!looked_ && !co_await pause(seat_, Millis(200))) co_return;
  }
}

Task<Result<void>> Tinkerer::round(Link& link) {
  if (!co_await pause(seat_, Millis(1 + seat_.env.rng.below(150)))) co_return Error(Errc::cancelled);
  MR_CO_TRY(bool seen, co_await look(link));
  if (!seen) co_return Result<void>{};
  if (partitions_asked_ < kPartitionsMax && seat_.env.rng.below(6) == 0) co_return co_await grow(link);
  co_return co_await change(link);
}

bool Tinkerer::told(const char* what, KafkaError error) {
  if (error == KafkaError::none) return true;
  if (!may_ask_again(error))
    seat_.stage.ledger.violation(fmt::format("{}: {} says {}", seat_.name, what, static_cast<int>(error)));
  return false;
}

void Tinkerer::judge(const std::string& name, const Value& seen) {
  const auto known = possible_.find(name);
  const bool may_be = known == possible_.end() ? !seen : known->second.contains(seen);
  if (may_be) return;
  std::string wanted;
  if (known != possible_.end())
    for (const Value& value : known->second) wanted += " " + value.value_or("(not set)");
  seat_.stage.ledger.violation(fmt::format("{}: {} of {} is {}, and can only be{}", seat_.name, name, topic_,
                                           seen.value_or("(not set)"), wanted.empty() ? " (not set)" : wanted));
}

Task<Result<bool>> Tinkerer::look(Link& link) {
  namespace api = wire::describe_configs;
  api::DescribeConfigsResource resource{.resource_type = kTopic, .resource_name = topic_, .configuration_keys = {}};
  api::Request request{.resources = wire::List<api::DescribeConfigsResource>(&resource, 1)};
  MR_CO_TRY(auto answer, co_await link.call<api::Response>(request, pick_version(seat_, api::kApi), kAnswerLimit));
  if (answer.body.results.size() != 1) co_return Error(Errc::malformed, "describe configs: one topic expected");
  const auto& result = answer.body.results[0];
  if (!told("describe configs", result.error_code)) co_return false;
  for (const Choice& choice : kChoices) {
    Value seen;
    for (const auto& entry : result.configs)
      if (entry.name == choice.name && entry.config_source == kSetByTopic) seen = std::string(entry.value.value_or(""));
    judge(std::string(choice.name), seen);
  }
  MR_CO_TRY(ClusterView view, co_await ask_metadata(seat_, link, topic_));
  if (!told("metadata", view.topic.error)) co_return false;
  if (view.topic.partitions < partitions_ || view.topic.partitions > partitions_asked_)
    seat_.stage.ledger.violation(fmt::format("{}: {} has {} partitions, and must have {} to {}", seat_.name, topic_,
                                             view.topic.partitions, partitions_, partitions_asked_));
  seat_.stage.hit("client.settings_seen");
  co_return true;
}

Task<Result<void>> Tinkerer::change(Link& link) {
  namespace api = wire::incremental_alter_configs;
  const Choice& choice = kChoices[seat_.env.rng.below(std::size(kChoices))];
  Value value;
  if (seat_.env.rng.below(4) != 0) value = std::string(choice.values[seat_.env.rng.below(3)]);
  const bool only_looks = seat_.env.rng.below(6) == 0;
  std::set<Value>& possible = possible_[std::string(choice.name)];
  if (possible.empty()) possible.insert(Value{});
  if (!only_looks) possible.insert(value);
  api::AlterableConfig config{.name = choice.name, .config_operation = value ? kSet : kRemove};
  config.value.reset();
  if (value) config.value = *value;
  api::AlterConfigsResource resource{
      .resource_type = kTopic, .resource_name = topic_, .configs = wire::List<api::AlterableConfig>(&config, 1)};
  api::Request request{.resources = wire::List<api::AlterConfigsResource>(&resource, 1), .validate_only = only_looks};
  MR_CO_TRY(auto answer, co_await link.call<api::Response>(request, pick_version(seat_, api::kApi), kAnswerLimit));
  if (answer.body.responses.size() != 1) co_return Error(Errc::malformed, "alter configs: one topic expected");
  if (told("alter configs", answer.body.responses[0].error_code) && !only_looks) {
    possible = {value};
    seat_.stage.hit("client.settings_changed");
  }
  co_return Result<void>{};
}

Task<Result<void>> Tinkerer::grow(Link& link) {
  namespace api = wire::create_partitions;
  const std::int32_t count = partitions_asked_ + 1;
  api::CreatePartitionsTopic topic{.name = topic_, .count = count, .assignments = {}};
  api::Request request{.topics = wire::List<api::CreatePartitionsTopic>(&topic, 1), .timeout_ms = 20'000};
  partitions_asked_ = count;
  MR_CO_TRY(auto answer, co_await link.call<api::Response>(request, pick_version(seat_, api::kApi), kAnswerLimit));
  if (answer.body.results.size() != 1) co_return Error(Errc::malformed, "create partitions: one topic expected");
  if (told("create partitions", answer.body.results[0].error_code)) {
    partitions_ = count;
    seat_.stage.hit("client.partitions_added");
  }
  co_return Result<void>{};
}

}  // namespace mr::sim
