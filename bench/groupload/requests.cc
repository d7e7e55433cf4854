#include "bench/groupload/requests.h"

namespace mr::bench {
namespace {

constexpr std::string_view kType = "consumer", kProtocol = "range";

/// ConsumerProtocolSubscription v0: version, topics, user data.
Bytes subscription(std::string_view topic, std::uint8_t variant) {
  Bytes out;
  auto put = [&](auto value) {
    out.resize(out.size() + sizeof value);
    store_be(out.data() + out.size() - sizeof value, value);
  };
  put(std::int16_t{0});
  put(std::int32_t{1});
  put(static_cast<std::int16_t>(topic.size()));
  out.insert(out.end(), as_bytes(topic).begin(), as_bytes(topic).end());
  put(std::int32_t{1});
  put(variant);
  return out;
}

/// Correlation id, tags, throttle.
Cursor answer_of(ByteView answer) {
  Cursor c(answer);
  c.skip(4);
  c.tags();
  c.skip(4);
  return c;
}

}  // namespace

Bytes find_coordinator_frame(std::string_view group) {
  FrameWriter w(10, 2, false);
  w.text(group).put<std::int8_t>(0);
  return w.frame();
}

std::int16_t read_find_coordinator(ByteView answer) {
  Cursor c(answer);
  c.skip(4 + 4);
  return c.take<std::int16_t>();
}

Bytes join_frame(const JoinText& join) {
  FrameWriter w(11, 9, true);
  w.compact_text(join.group).put(join.session_ms).put<std::int32_t>(60'000).compact_text(join.member).null();
  w.compact_text(kType).items(1).compact_text(kProtocol).compact_bytes(subscription(join.topic, join.variant));
  w.no_tags().null().no_tags();
  return w.frame();
}

Joined read_join(ByteView answer) {
  Cursor c = answer_of(answer);
  Joined out;
  out.error = c.take<std::int16_t>();
  out.generation = c.take<std::int32_t>();
  c.compact_text();
  c.compact_text();
  std::string_view leader = c.compact_text();
  c.skip(1);
  out.member = c.compact_text();
  out.leads = leader == out.member;
  if (std::uint32_t n = c.varint(); n > 0) out.members = n - 1;
  return out;
}

Bytes sync_frame(std::string_view group, std::int32_t generation, std::string_view member,
                 std::span<const std::string> everybody, std::size_t assignment_bytes) {
  const Bytes assignment(assignment_bytes, std::byte{'a'});
  FrameWriter w(14, 5, true);
  w.compact_text(group).put(generation).compact_text(member).null().compact_text(kType).compact_text(kProtocol);
  w.items(everybody.size());
  for (const std::string& one : everybody) w.compact_text(one).compact_bytes(assignment).no_tags();
  w.no_tags();
  return w.frame();
}

Bytes heartbeat_frame(std::string_view group, std::int32_t generation, std::string_view member) {
  FrameWriter w(12, 4, true);
  w.compact_text(group).put(generation).compact_text(member).null().no_tags();
  return w.frame();
}

Bytes leave_frame(std::string_view group, std::span<const std::string> members) {
  FrameWriter w(13, 5, true);
  w.compact_text(group).items(members.size());
  for (const std::string& member : members) w.compact_text(member).null().null().no_tags();
  w.no_tags();
  return w.frame();
}

std::int16_t read_error(ByteView answer) { return answer_of(answer).take<std::int16_t>(); }

Bytes commit_frame(const CommitText& commit) {
  FrameWriter w(8, 8, true);
  w.compact_text(commit.group).put(commit.generation).compact_text(commit.member).null();
  w.items(1).compact_text(commit.topic).items(static_cast<std::size_t>(commit.count));
  for (std::int32_t p = commit.first_partition; p < commit.first_partition + commit.count; ++p)
    w.put(p).put(commit.offset).put<std::int32_t>(-1).compact_text("").no_tags();
  w.no_tags().no_tags();
  return w.frame();
}

std::int16_t read_commit(ByteView answer) {
  Cursor c = answer_of(answer);
  for (std::uint32_t topics = c.varint(); topics > 1; --topics) {
    c.compact_text();
    for (std::uint32_t partitions = c.varint(); partitions > 1; --partitions) {
      c.skip(4);
      if (auto error = c.take<std::int16_t>(); error != 0) return error;
      c.tags();
    }
    c.tags();
  }
  return 0;
}

Bytes consumer_join_frame(std::string_view group, std::string_view member, std::span<const std::string> topics) {
  FrameWriter w(68, 1, true);
  w.compact_text(group).compact_text(member).put<std::int32_t>(0).null().null().put<std::int32_t>(60'000);
  w.items(topics.size());
  for (const std::string& topic : topics) w.compact_text(topic);
  w.null().compact_text("uniform").items(0).no_tags();
  return w.frame();
}

Bytes consumer_beat_frame(std::string_view group, std::string_view member, std::int32_t epoch, const Owned* owned) {
  FrameWriter w(68, 1, true);
  w.compact_text(group).compact_text(member).put(epoch).null().null().put<std::int32_t>(-1);
  w.null().null().null();
  if (owned == nullptr) {
    w.null();
  } else {
    w.items(owned->size());
    for (const OwnedTopic& topic : *owned) {
      w.raw(as_bytes(std::string_view(topic.topic))).items(topic.partitions.size());
      for (std::int32_t p : topic.partitions) w.put(p);
      w.no_tags();
    }
  }
  w.no_tags();
  return w.frame();
}

Beaten read_consumer_beat(ByteView answer) {
  Cursor c = answer_of(answer);
  Beaten out;
  out.error = c.take<std::int16_t>();
  c.compact_text();
  c.compact_text();
  out.epoch = c.take<std::int32_t>();
  out.interval_ms = c.take<std::int32_t>();
  if (c.take<std::int8_t>() < 0) return out;
  out.assignment.emplace();
  for (std::uint32_t topics = c.varint(); topics > 1; --topics) {
    OwnedTopic& topic = out.assignment->emplace_back();
    topic.topic = as_text(c.skip(16));
    for (std::uint32_t partitions = c.varint(); partitions > 1; --partitions)
      topic.partitions.push_back(c.take<std::int32_t>());
    c.tags();
  }
  return out;
}

}  // namespace mr::bench
