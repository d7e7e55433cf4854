#include "metastore/records.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace mr::metastore::records {

namespace {

constexpr std::string_view kVersionLine = "v=1";

/// '%', line ends and '=' in names must not break lines apart.
std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '%' || c == '\n' || c == '\r' || c == '=')
      out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned char c = 0;
    if (text.size() - i < 3) return Error(Errc::corrupt_data, "a metadata value ends inside an escape");
    auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, c, 16);
    if (error != std::errc{} || end != text.data() + i + 3)
      return Error(Errc::corrupt_data, "a metadata value has a bad escape");
    out += static_cast<char>(c);
    i += 2;
  }
  return out;
}

template <class T>
Result<T> number(const Fields& fields, const std::string& name) {
  auto at = fields.find(name);
  T value{};
  if (at == fields.end()) return Error(Errc::corrupt_data, "a metadata value lacks " + name);
  const auto& text = at->second;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return Error(Errc::corrupt_data, fmt::format("{}={} is no number in a metadata value", name, text));
  return value;
}

std::string join(const std::vector<BrokerId>& brokers) {
  std::string text;
  for (BrokerId broker : brokers) text += fmt::format("{}{}", text.empty() ? "" : ",", broker.v);
  return text;
}

Result<std::vector<BrokerId>> brokers(const Fields& fields, const std::string& name) {
  std::vector<BrokerId> result;
  auto at = fields.find(name);
  if (at == fields.end()) return Error(Errc::corrupt_data, "a metadata value lacks " + name);
  const char* from = at->second.data();
  const char* const end = from + at->second.size();
  while (from < end) {
    BrokerId broker;
    auto [next, error] = std::from_chars(from, end, broker.v);
    if (error != std::errc{} || (next != end && *next != ',')) return Error(Errc::corrupt_data, "bad list: " + name);
    result.push_back(broker);
    from = next + 1;
  }
  return result;
}

constexpr std::string_view kConfigPrefix = "config.";

}  // namespace

std::string topic_key(std::string_view name) { return fmt::format("{}{}", kTopics, name); }
std::string name_key(std::string_view name) { return fmt::format("{}{}", kNames, collision_key(name)); }
std::string partitions_prefix(TopicId topic) { return fmt::format("{}{}/", kPartitions, topic.v.to_string()); }
std::string partition_key(TopicId topic, PartitionIndex partition) {
  return fmt::format("{}{:010}", partitions_prefix(topic), partition.v);  // digits: keys sort as numbers do
}
std::string deleted_key(TopicId topic) { return fmt::format("{}{}", kDeleted, topic.v.to_string()); }

std::string broker_configs_key(std::optional<BrokerId> broker) {
  return fmt::format("{}{}", kBrokerConfigs, broker ? std::to_string(broker->v) : "default");
}

std::string encode_fields(const Fields& fields) {
  std::string text(kVersionLine);
  text += '\n';
  for (const auto& [name, value] : fields) text += fmt::format("{}={}\n", escape(name), escape(value));
  return text;
}

Result<Fields> decode_fields(std::string_view text) {
  Fields fields;
  bool first = true;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return Error(Errc::corrupt_data, "a metadata value ends inside a line");
    auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      if (line == kVersionLine) continue;
      if (line.starts_with("v=")) return Error(Errc::newer_format, "a metadata value of a newer Millrace");
      return Error(Errc::corrupt_data, "a metadata value without version");
    }
    const auto split = line.find('=');
    if (split == std::string_view::npos) return Error(Errc::corrupt_data, "a metadata line without '='");
    MR_TRY(auto name, unescape(line.substr(0, split)));
    MR_TRY(auto value, unescape(line.substr(split + 1)));
    fields[std::move(name)] = std::move(value);
  }
  if (first) return Error(Errc::corrupt_data, "an empty metadata value");
  return fields;
}

std::string encode_topic(const TopicRecord& topic) { return encode_topic(topic, topic.partitions.size()); }

std::string encode_topic(const TopicRecord& topic, std::size_t partition_count) {
  Fields fields{{"id", topic.id.v.to_string()},
                {"created", std::to_string(topic.created)},
                {"partitions", std::to_string(partition_count)}};
  for (const auto& [name, value] : topic.configs) fields[std::string(kConfigPrefix) + name] = value;
  return encode_fields(fields);
}

Result<TopicHead> decode_topic(std::string_view text) {
  MR_TRY(auto fields, decode_fields(text));
  TopicHead head;
  auto id = Uuid::parse(fields["id"]);
  if (!id || id->is_zero()) return Error(Errc::corrupt_data, "a topic without id");
  head.topic.id = TopicId{*id};
  MR_TRY(head.topic.created, number<WallMillis>(fields, "created"));
  MR_TRY(head.partition_count, number<std::int32_t>(fields, "partitions"));
  for (const auto& [name, value] : fields)
    if (name.starts_with(kConfigPrefix)) head.topic.configs[name.substr(kConfigPrefix.size())] = value;
  return head;
}

Result<std::string> with_configs(std::string_view topic, const std::map<std::string, std::string>& configs) {
  MR_TRY(Fields fields, decode_fields(topic));
  std::erase_if(fields, [](const auto& field) { return field.first.starts_with(kConfigPrefix); });
  for (const auto& [name, value] : configs) fields[std::string(kConfigPrefix) + name] = value;
  return encode_fields(fields);
}

std::string encode_partition(const PartitionRecord& partition) {
  Fields fields{{"index", std::to_string(partition.index.v)},
                {"leader", std::to_string(partition.leader.v)},
                {"epoch", std::to_string(partition.leader_epoch.v)},
                {"replicas", join(partition.replicas)},
                {"isr", join(partition.isr)}};
  if (!partition.directory.is_zero()) fields["directory"] = partition.directory.to_string();
  return encode_fields(fields);
}

Result<PartitionRecord> decode_partition(std::string_view text) {
  MR_TRY(auto fields, decode_fields(text));
  PartitionRecord partition;
  MR_TRY(partition.index.v, number<std::int32_t>(fields, "index"));
  MR_TRY(partition.leader.v, number<std::int32_t>(fields, "leader"));
  MR_TRY(partition.leader_epoch.v, number<std::int32_t>(fields, "epoch"));
  MR_TRY(partition.replicas, brokers(fields, "replicas"));
  MR_TRY(partition.isr, brokers(fields, "isr"));
  if (auto at = fields.find("directory"); at != fields.end()) {
    auto id = Uuid::parse(at->second);
    if (!id) return Error(Errc::corrupt_data, "a metadata value has a bad directory");
    partition.directory = *id;
  }
  return partition;
}

}  // namespace mr::metastore::records
