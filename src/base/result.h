#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace mr {

/// Everything the world can do to us, as a value. Only server/kafka/error_map.cc turns these into Kafka's numbers; its
/// switch has no default, so a new entry here does not compile until someone has thought of its wire code.
enum class Errc : std::uint16_t {
  // Bad input.
  invalid_argument,     ///< a value outside what the operation accepts
  malformed,            ///< bytes that do not decode: short, negative or oversized length, bad tag
  unsupported_version,  ///< an API, version or special value we do not speak
  too_large,            ///< over a named size limit (not a record batch; see message_too_large)
  // Records.
  corrupt_batch,            ///< checksum or framing of a record batch is wrong
  invalid_record,           ///< well-framed but breaks a rule (count, magic, key on a compacted topic)
  message_too_large,        ///< batch over max.message.bytes
  unsupported_compression,  ///< codec not allowed here
  invalid_timestamp,        ///< outside message.timestamp.{before,after}.max.ms
  out_of_order_sequence,    ///< idempotent producer skipped a sequence
  invalid_producer_epoch,   ///< producer epoch older than the newest seen
  unknown_producer_id,      ///< no state for this producer where there must be
  // Topics and partitions.
  unknown_topic,
  unknown_topic_id,
  inconsistent_topic_id,
  unknown_partition,
  topic_exists,
  invalid_topic_name,
  invalid_partition_count,
  invalid_replication_factor,
  invalid_replica_assignment,
  invalid_config,
  policy_violation,  ///< the topic's own rules forbid it
  // Reads.
  offset_out_of_range,
  offset_not_available,
  fenced_leader_epoch,   ///< the caller's leader epoch is older than ours
  unknown_leader_epoch,  ///< the caller's leader epoch is newer than ours
  not_leader,            ///< this broker does not lead the partition (or no longer)
  fetch_session_not_found,
  // Acknowledgements.
  invalid_required_acks,
  request_timed_out,  ///< appended, but the watermark did not pass it in time
  not_enough_replicas,
  not_enough_replicas_after_append,
  // Groups and transactions.
  coordinator_not_available,
  not_coordinator,
  coordinator_loading,
  transactional_id_unsupported,
  invalid_group_id,             ///< a group's name is empty where it may not be
  invalid_session_timeout,      ///< outside group.{min,max}.session.timeout.ms
  inconsistent_group_protocol,  ///< no protocol in common with the group, or not the round's
  member_id_required,           ///< join again under the member id in the answer
  unknown_member,               ///< not in the group (any more)
  fenced_instance_id,           ///< another member has taken over this static instance
  illegal_generation,           ///< of a round that is not the group's
  rebalance_in_progress,        ///< a new round has begun: join again
  group_max_size_reached,       ///< group.max.size
  group_not_found,
  group_not_empty,            ///< has members
  group_subscribed_to_topic,  ///< a member reads the topic whose offsets shall go
  group_record_too_large,     ///< subscriptions and assignments together do not fit a record
  group_overloaded,           ///< too many requests wait on the group or its partition; retriable
  offset_metadata_too_large,  ///< offset.metadata.max.bytes
  commit_too_large,           ///< one commit's offsets do not fit a batch
  unstable_offset,            ///< a transaction is about to replace the committed offset
  fenced_member_epoch,        ///< of a member of a KIP-848 group: not the one we gave it; join again
  stale_member_epoch,         ///< the same of a commit: heartbeat first
  unreleased_instance_id,     ///< another member holds this static instance
  unsupported_assignor,       ///< group.consumer.assignors does not have it
  invalid_regular_expression,
  // The machine.
  disk_failed,  ///< sync or write failed for good: this log directory is offline
  disk_full,    ///< no space; heals by itself when space returns
  io_error,     ///< another error of a file or socket call
  not_found,
  already_exists,
  in_use,  ///< locked or bound by somebody else
  permission_denied,
  newer_format,  ///< written by a newer Millrace
  corrupt_data,  ///< own files (checkpoints, indexes, journal) fail their checksum
  // Flow.
  cancelled,
  timed_out,
  shutting_down,
  connection_closed,
  connection_refused,
  back_pressured,      ///< a bounded queue is full; try later
  resource_exhausted,  ///< over the memory budget or a descriptor limit
  unauthenticated,
  unauthorized,
  conflict,         ///< compare-and-set found another revision
  unknown_outcome,  ///< may or may not have happened (etcd's lost answer)
  internal,         ///< a library threw something unexpected
};

/// The enumerator's own name, for logs and tests.
std::string_view to_string(Errc code);

/// A code and a sentence for a person. The sentence may be empty; it never holds secrets.
class [[nodiscard]] Error {
 public:
  explicit(false) Error(Errc code) : code_(code) {}
  Error(Errc code, std::string detail) : code_(code), detail_(std::move(detail)) {}

  Errc code() const { return code_; }
  const std::string& detail() const { return detail_; }
  /// "corrupt_batch: crc is 1, should be 2"
  std::string message() const;

  friend bool operator==(const Error& a, Errc b) { return a.code_ == b; }

 private:
  Errc code_;
  std::string detail_;
};

/// What may fail returns this; handle it or pass it on.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
  using Base = std::expected<T, Error>;

 public:
  using Base::Base;
  explicit(false) Result(Error error) : Base(std::unexpect, std::move(error)) {}
  explicit(false) Result(Errc code) : Base(std::unexpect, Error(code)) {}

  bool ok() const { return this->has_value(); }
  /// The error's code; call only when !ok().
  Errc code() const { return this->error().code(); }
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
  using Base = std::expected<void, Error>;

 public:
  using Base::Base;
  Result() = default;
  explicit(false) Result(Error error) : Base(std::unexpect, std::move(error)) {}
  explicit(false) Result(Errc code) : Base(std::unexpect, Error(code)) {}

  bool ok() const { return this->has_value(); }
  Errc code() const { return this->error().code(); }
};

}  // namespace mr

#define MR_CONCAT_(a, b) a##b
#define MR_CONCAT(a, b) MR_CONCAT_(a, b)

/// MR_TRY(auto x, f()): binds the value or returns the error. MR_TRY_VOID(f()) for Result<void>.
#define MR_TRY(declaration, expression) MR_TRY_IMPL_(MR_CONCAT(mr_try_, __LINE__), declaration, expression, return)
#define MR_TRY_VOID(expression)              \
  do {                                       \
    auto mr_try_void = (expression);         \
    if (!mr_try_void.ok()) [[unlikely]]      \
      return std::move(mr_try_void).error(); \
  } while (false)
/// The same inside a coroutine: MR_CO_TRY(auto x, co_await f());
#define MR_CO_TRY(declaration, expression) \
  MR_TRY_IMPL_(MR_CONCAT(mr_try_, __LINE__), declaration, expression, co_return)
#define MR_CO_TRY_VOID(expression)              \
  do {                                          \
    auto mr_try_void = (expression);            \
    if (!mr_try_void.ok()) [[unlikely]]         \
      co_return std::move(mr_try_void).error(); \
  } while (false)
#define MR_TRY_IMPL_(temporary, declaration, expression, leave) \
  auto temporary = (expression);                                \
  if (!temporary.ok()) [[unlikely]]                             \
    leave std::move(temporary).error();                         \
  declaration = std::move(*temporary)
