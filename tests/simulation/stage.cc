#include "tests/simulation/stage.h"

#include <fmt/format.h>

#include "wire/api/metadata.h"

namespace mr::sim {

using std::chrono::seconds;
using wire::KafkaError;

wire::Version pick_version(ClientSeat& seat, const wire::ApiInfo& api, wire::Version at_least) {
  wire::Version low = std::max({api.min, api.advertised_min, at_least});
  wire::Version high = std::min(api.max, api.advertised_max);
  auto span = static_cast<std::uint64_t>(high - low + 1);
  return static_cast<wire::Version>(low + static_cast<wire::Version>(seat.env.rng.below(span)));
}

bool may_ask_again(KafkaError error) {
  switch (error) {
    case KafkaError::leader_not_available:
    case KafkaError::not_leader_or_follower:
    case KafkaError::request_timed_out:
    case KafkaError::broker_not_available:
    case KafkaError::replica_not_available:
    case KafkaError::network_exception:
    case KafkaError::coordinator_not_available:
    case KafkaError::not_enough_replicas:
    case KafkaError::not_enough_replicas_after_append:
    case KafkaError::kafka_storage_error:
    case KafkaError::fenced_leader_epoch:
    case KafkaError::unknown_leader_epoch:
      return true;
    default:
      return false;
  }
}

Task<bool> pause(ClientSeat seat, Duration limit) {
  Duration time(seat.env.rng.below(static_cast<std::uint64_t>(limit.count())) + 1);
  Result<void> slept = co_await sleep_until(seat.env.now() + time);
  co_return slept.ok();
}

Task<Result<ClusterView>> ask_metadata(ClientSeat seat, Link& link, std::string topic) {
  wire::metadata::MetadataRequestTopic wanted{.name = topic};
  wire::metadata::Request request{.topics = wire::List<wire::metadata::MetadataRequestTopic>(&wanted, 1),
                                  .allow_auto_topic_creation = false};
  wire::Version version = pick_version(seat, request.kApi, 10);
  MR_CO_TRY(auto answer, co_await link.call<wire::metadata::Response>(request, version, seconds(30)));
  ClusterView view;
  if (answer.body.topics.size() != 1 || answer.body.brokers.size() != 1) {
    co_return Error(Errc::malformed, "metadata: one topic and one broker expected");
  }
  const auto& broker = answer.body.brokers[0];
  view.leader = {.host = std::string(broker.host), .port = static_cast<std::uint16_t>(broker.port)};
  const auto& found = answer.body.topics[0];
  view.topic = {.error = found.error_code,
                .id = found.topic_id,
                .partitions = static_cast<std::int32_t>(found.partitions.size())};
  co_return view;
}

Task<std::unique_ptr<Link>> find_leader(ClientSeat seat, std::string topic, TopicView* view) {
  while (!seat.stage.stop_all) {
    auto first = co_await Link::open(seat.env, seat.stage.bootstrap, seat.name);
    if (first.ok()) {
      auto cluster = co_await ask_metadata(seat, **first, topic);
      if (cluster.ok()) {
        *view = cluster->topic;
        if (view->error == KafkaError::unknown_topic_or_partition) {
          seat.stage.ledger.violation(fmt::format("topic {} is gone", topic));
          co_return nullptr;
        }
        if (view->error == KafkaError::none) {
          auto link = co_await Link::open(seat.env, cluster->leader, seat.name);
          if (link.ok()) co_return std::move(*link);
        }
      } else if (cluster.code() == Errc::malformed) {
        seat.stage.ledger.violation("metadata: " + cluster.error().message());
        co_return nullptr;
      }
    }
    if (!co_await pause(seat, Millis(200))) co_return nullptr;
  }
  co_return nullptr;
}

}  // namespace mr::sim
