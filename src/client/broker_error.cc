#include "client/broker_error.h"

#include <fmt/format.h>

namespace mr::client {

namespace {

/// Only codes on which callers branch; the sentence tells the rest.
Errc errc_of(wire::KafkaError code) {
  using K = wire::KafkaError;
  switch (code) {
    case K::unknown_topic_or_partition:
      return Errc::unknown_topic;
    case K::unknown_topic_id:
      return Errc::unknown_topic_id;
    case K::topic_already_exists:
      return Errc::topic_exists;
    case K::invalid_topic_exception:
      return Errc::invalid_topic_name;
    case K::invalid_partitions:
      return Errc::invalid_partition_count;
    case K::invalid_replication_factor:
      return Errc::invalid_replication_factor;
    case K::invalid_config:
      return Errc::invalid_config;
    case K::invalid_request:
      return Errc::invalid_argument;
    case K::policy_violation:
      return Errc::policy_violation;
    case K::offset_out_of_range:
      return Errc::offset_out_of_range;
    case K::not_leader_or_follower:
    case K::leader_not_available:
      return Errc::not_leader;
    case K::message_too_large:
    case K::record_list_too_large:
      return Errc::message_too_large;
    case K::corrupt_message:
      return Errc::corrupt_batch;
    case K::request_timed_out:
      return Errc::request_timed_out;
    case K::unsupported_version:
      return Errc::unsupported_version;
    case K::kafka_storage_error:
      return Errc::disk_failed;
    case K::not_enough_replicas:
    case K::not_enough_replicas_after_append:
      return Errc::not_enough_replicas;
    case K::sasl_authentication_failed:
      return Errc::unauthenticated;
    case K::topic_authorization_failed:
    case K::group_authorization_failed:
    case K::cluster_authorization_failed:
      return Errc::unauthorized;
    case K::invalid_group_id:
      return Errc::invalid_group_id;
    case K::group_id_not_found:
      return Errc::group_not_found;
    case K::non_empty_group:
      return Errc::group_not_empty;
    case K::group_subscribed_to_topic:
      return Errc::group_subscribed_to_topic;
    case K::unknown_member_id:
      return Errc::unknown_member;
    case K::illegal_generation:
      return Errc::illegal_generation;
    case K::rebalance_in_progress:
      return Errc::rebalance_in_progress;
    default:
      return Errc::internal;
  }
}

}  // namespace

Error broker_error(wire::KafkaError code, std::string_view what, std::optional<std::string_view> message) {
  std::string text(what);
  if (message && message->find(what) != std::string_view::npos) {
    text = *message;  // the broker named it already
  } else if (message && !message->empty()) {
    text += fmt::format(": {}", *message);
  } else if (code == wire::KafkaError::unknown_topic_or_partition || code == wire::KafkaError::group_id_not_found) {
    text += " does not exist";
  }
  text += fmt::format(" ({})", to_string(code));
  return Error(errc_of(code), std::move(text));
}

bool worth_a_retry(wire::KafkaError code) { return wire::is_retriable(code); }

}  // namespace mr::client
