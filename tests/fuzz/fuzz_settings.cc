// Settings as people and clients write them: property files, assignments, listeners, values of each option, alterations
// of a topic. What is taken is written and read again as the same.
#include "config/alter_config.h"
#include "config/broker_settings.h"
#include "tests/fuzz/input.h"

namespace {

using namespace mr;
using namespace mr::config;

void file(std::string_view text) {
  auto lines = parse_properties(text, "f");
  if (!lines.ok()) return;
  auto settings = load_broker_settings(*lines);
  if (!settings.ok()) return;
  for (const TopicOption& option : topic_options()) static_cast<void>(inherited_value(option, settings->config));
}

void value(FuzzInput input) {
  auto options = topic_options();
  const TopicOption& option = options[input.byte() % options.size()];
  auto parsed = parse_value(option.rule, as_text(input.left));
  if (!parsed.ok()) return;
  std::string text = format_value(*parsed);
  auto again = parse_value(option.rule, text);
  MR_CHECK(again.ok() && format_value(*again) == text);
}

void alteration(FuzzInput input) {
  static const BrokerSettings broker = *load_broker_settings({});
  auto options = topic_options();
  TopicOverrides now;
  while (!input.left.empty()) {
    ConfigAlteration wanted{.replace = input.byte() % 8 == 0, .changes = {}};
    for (int n = input.byte() % 4; n >= 0; --n) {
      ConfigChange change{.name = std::string(options[input.byte() % options.size()].rule.name)};
      change.kind = static_cast<ChangeKind>(input.byte() % 4);
      const std::size_t bytes = input.byte();
      if (bytes < 250) change.value = std::string(as_text(input.piece(bytes % 40)));
      wanted.changes.push_back(std::move(change));
    }
    auto after = alter_topic_config(broker.config, now, wanted);
    if (!after.ok()) continue;
    MR_CHECK(check_operations(wanted).ok());
    auto topic = TopicConfig::resolve(broker.config, *after);
    MR_CHECK(topic.ok() && topic->check_together().ok());
    static_cast<void>(describe_topic_config(*after, broker));
    now = std::move(*after);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input{ByteView(reinterpret_cast<const std::byte*>(data), size)};
  switch (input.byte() % 5) {
    case 0:
      file(as_text(input.left));
      break;
    case 1:
      value(input);
      break;
    case 2:
      alteration(input);
      break;
    case 3:
      static_cast<void>(parse_assignment(as_text(input.left)));
      break;
    case 4:
      static_cast<void>(
          parse_listeners({std::string(as_text(input.piece(input.byte()))), std::string(as_text(input.left))}));
      break;
  }
  return 0;
}
