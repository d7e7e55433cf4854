#include "base/result.h"

namespace mr {

std::string_view to_string(Errc code) {
  switch (code) {
#define MR_CASE(name) \
  case Errc::name:    \
    return #name
    MR_CASE(invalid_argument);
    MR_CASE(malformed);
    MR_CASE(unsupported_version);
    MR_CASE(too_large);
    MR_CASE(corrupt_batch);
    MR_CASE(invalid_record);
    MR_CASE(message_too_large);
    MR_CASE(unsupported_compression);
    MR_CASE(invalid_timestamp);
    MR_CASE(out_of_order_sequence);
    MR_CASE(invalid_producer_epoch);
    MR_CASE(unknown_producer_id);
    MR_CASE(unknown_topic);
    MR_CASE(unknown_topic_id);
    MR_CASE(inconsistent_topic_id);
    MR_CASE(unknown_partition);
    MR_CASE(topic_exists);
    MR_CASE(invalid_topic_name);
    MR_CASE(invalid_partition_count);
    MR_CASE(invalid_replication_factor);
    MR_CASE(invalid_replica_assignment);
    MR_CASE(invalid_config);
    MR_CASE(policy_violation);
    MR_CASE(offset_out_of_range);
    MR_CASE(offset_not_available);
    MR_CASE(fenced_leader_epoch);
    MR_CASE(unknown_leader_epoch);
    MR_CASE(not_leader);
    MR_CASE(fetch_session_not_found);
    MR_CASE(invalid_required_acks);
    MR_CASE(request_timed_out);
    MR_CASE(not_enough_replicas);
    MR_CASE(not_enough_replicas_after_append);
    MR_CASE(coordinator_not_available);
    MR_CASE(not_coordinator);
    MR_CASE(coordinator_loading);
    MR_CASE(transactional_id_unsupported);
    MR_CASE(invalid_group_id);
    MR_CASE(invalid_session_timeout);
    MR_CASE(inconsistent_group_protocol);
    MR_CASE(member_id_required);
    MR_CASE(unknown_member);
    MR_CASE(fenced_instance_id);
    MR_CASE(illegal_generation);
    MR_CASE(rebalance_in_progress);
    MR_CASE(group_max_size_reached);
    MR_CASE(group_not_found);
    MR_CASE(group_not_empty);
    MR_CASE(group_subscribed_to_topic);
    MR_CASE(group_record_too_large);
    MR_CASE(group_overloaded);
    MR_CASE(offset_metadata_too_large);
    MR_CASE(commit_too_large);
    MR_CASE(unstable_offset);
    MR_CASE(fenced_member_epoch);
    MR_CASE(stale_member_epoch);
    MR_CASE(unreleased_instance_id);
    MR_CASE(unsupported_assignor);
    MR_CASE(invalid_regular_expression);
    MR_CASE(disk_failed);
    MR_CASE(disk_full);
    MR_CASE(io_error);
    MR_CASE(not_found);
    MR_CASE(already_exists);
    MR_CASE(in_use);
    MR_CASE(permission_denied);
    MR_CASE(newer_format);
    MR_CASE(corrupt_data);
    MR_CASE(cancelled);
    MR_CASE(timed_out);
    MR_CASE(shutting_down);
    MR_CASE(connection_closed);
    MR_CASE(connection_refused);
    MR_CASE(back_pressured);
    MR_CASE(resource_exhausted);
    MR_CASE(unauthenticated);
    MR_CASE(unauthorized);
    MR_CASE(conflict);
    MR_CASE(unknown_outcome);
    MR_CASE(internal);
#undef MR_CASE
  }
  return "unknown";
}

std::string Error::message() const {
  std::string text(to_string(code_));
  if (!detail_.empty()) text += ": " + detail_;
  return text;
}

}  // namespace mr
