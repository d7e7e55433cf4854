#include "server/kafka/error_map.h"

namespace mr::server::kafka {

wire::KafkaError kafka_error(Errc code) {
  using K = wire::KafkaError;
  switch (code) {  // no default: a new Errc does not compile until someone has thought of it
    case Errc::invalid_argument:
    case Errc::malformed:
      return K::invalid_request;
    case Errc::unsupported_version:
      return K::unsupported_version;
    case Errc::too_large:
      return K::invalid_request;
    case Errc::corrupt_batch:
    case Errc::corrupt_data:
      return K::corrupt_message;
    case Errc::invalid_record:
      return K::invalid_record;
    case Errc::message_too_large:
      return K::message_too_large;
    case Errc::unsupported_compression:
      return K::unsupported_compression_type;
    case Errc::invalid_timestamp:
      return K::invalid_timestamp;
    case Errc::out_of_order_sequence:
      return K::out_of_order_sequence_number;
    case Errc::invalid_producer_epoch:
      return K::invalid_producer_epoch;
    case Errc::unknown_producer_id:
      return K::unknown_producer_id;
    case Errc::unknown_topic:
    case Errc::unknown_partition:
      return K::unknown_topic_or_partition;
    case Errc::unknown_topic_id:
      return K::unknown_topic_id;
    case Errc::inconsistent_topic_id:
      return K::inconsistent_topic_id;
    case Errc::topic_exists:
      return K::topic_already_exists;
    case Errc::invalid_topic_name:
      return K::invalid_topic_exception;
    case Errc::invalid_partition_count:
      return K::invalid_partitions;
    case Errc::invalid_replication_factor:
      return K::invalid_replication_factor;
    case Errc::invalid_replica_assignment:
      return K::invalid_replica_assignment;
    case Errc::invalid_config:
      return K::invalid_config;
    case Errc::policy_violation:
      return K::policy_violation;
    case Errc::offset_out_of_range:
      return K::offset_out_of_range;
    case Errc::offset_not_available:
      return K::offset_not_available;
    case Errc::fenced_leader_epoch:
      return K::fenced_leader_epoch;
    case Errc::unknown_leader_epoch:
      return K::unknown_leader_epoch;
    case Errc::not_leader:
      return K::not_leader_or_follower;
    case Errc::fetch_session_not_found:
      return K::fetch_session_id_not_found;
    case Errc::invalid_required_acks:
      return K::invalid_required_acks;
    case Errc::request_timed_out:
    case Errc::timed_out:
      return K::request_timed_out;
    case Errc::not_enough_replicas:
      return K::not_enough_replicas;
    case Errc::not_enough_replicas_after_append:
      return K::not_enough_replicas_after_append;
    case Errc::coordinator_not_available:
      return K::coordinator_not_available;
    case Errc::not_coordinator:
      return K::not_coordinator;
    case Errc::coordinator_loading:
      return K::coordinator_load_in_progress;
    case Errc::transactional_id_unsupported:
      return K::transactional_id_authorization_failed;
    case Errc::invalid_group_id:
      return K::invalid_group_id;
    case Errc::invalid_session_timeout:
      return K::invalid_session_timeout;
    case Errc::inconsistent_group_protocol:
      return K::inconsistent_group_protocol;
    case Errc::member_id_required:
      return K::member_id_required;
    case Errc::unknown_member:
      return K::unknown_member_id;
    case Errc::fenced_instance_id:
      return K::fenced_instance_id;
    case Errc::illegal_generation:
      return K::illegal_generation;
    case Errc::rebalance_in_progress:
      return K::rebalance_in_progress;
    case Errc::group_max_size_reached:
      return K::group_max_size_reached;
    case Errc::group_not_found:
      return K::group_id_not_found;
    case Errc::group_not_empty:
      return K::non_empty_group;
    case Errc::group_subscribed_to_topic:
      return K::group_subscribed_to_topic;
    case Errc::group_record_too_large:
      return K::unknown_server_error;  // as Kafka: no number of its own
    case Errc::group_overloaded:
      return K::coordinator_load_in_progress;  // wait and come back
    case Errc::offset_metadata_too_large:
      return K::offset_metadata_too_large;
    case Errc::commit_too_large:
      return K::invalid_commit_offset_size;
    case Errc::unstable_offset:
      return K::unstable_offset_commit;
    case Errc::disk_failed:
    case Errc::disk_full:  // retriable, and heals when space returns
    case Errc::io_error:
      return K::kafka_storage_error;
    case Errc::conflict:
    case Errc::shutting_down:
    case Errc::cancelled:
    case Errc::back_pressured:
    case Errc::resource_exhausted:
    case Errc::unknown_outcome:
      return K::not_leader_or_follower;  // retriable, and the client asks for fresh metadata before it tries again
    case Errc::unauthenticated:
      return K::sasl_authentication_failed;
    case Errc::unauthorized:
      return K::cluster_authorization_failed;
    case Errc::not_found:
    case Errc::already_exists:
    case Errc::in_use:
    case Errc::permission_denied:
    case Errc::newer_format:
    case Errc::connection_closed:
    case Errc::connection_refused:
    case Errc::internal:
      return K::unknown_server_error;
  }
  return K::unknown_server_error;
}

}  // namespace mr::server::kafka
