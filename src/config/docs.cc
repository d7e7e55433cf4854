#include "config/docs.h"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "config/broker_options.h"
#include "config/topic_options.h"

namespace mr::config {

namespace {

constexpr std::string_view kGenerated =
    "<!-- Made from the tables in src/config by `config_docs`; do not edit, run it again. -->\n";

constexpr std::string_view kWhileItRuns =
    "\n# Where changing settings differs\n\n"
    "| what | here | Kafka |\n|---|---|---|\n"
    "| a broker option without effect, or of an unknown name | refused, INVALID_REQUEST | taken, and shown as "
    "sensitive "
    "|\n"
    "| `listeners`, `num.recovery.threads.per.data.dir`, `log.cleaner.backoff.ms`, `log.cleaner.dedupe.buffer.size`, "
    "`log.cleaner.io.buffer.size`, `log.cleaner.io.max.bytes.per.second` | read at the start | can change while it "
    "runs "
    "|\n"
    "| loggers (`--entity-type broker-loggers`) | one, `root`: DEBUG, INFO, WARN or ERROR | one per class |\n"
    "| group configs | for consumer groups; setting one of share or streams groups is refused | for "
    "consumer, share and streams groups |\n"
    "| client metrics | none, setting them is refused | subscriptions for a telemetry plugin |\n"
    "| an operation that does not exist | INVALID_REQUEST | UNKNOWN_SERVER_ERROR |\n"
    "| Java's own ways of writing a floating-point number (`0.5f`, `0x1p-1`, `NaN`) | INVALID_CONFIG | taken |\n"
    "| `__consumer_offsets` | sets `flush.messages` itself | leaves it to the broker |\n"
    "| a resource named twice in AlterConfigs | INVALID_REQUEST for both | no answer (4.3.1) |\n"
    "| APPEND and SUBTRACT on a list that the topic does not set | begin with what holds for it, the broker's setting "
    "too | begin with the default |\n"
    "| a topic config whose value comes from a coarser broker option (`log.retention.hours`, `log.roll.hours`) | shown "
    "with that option and its source | shown as a default without synonyms |\n"
    "| the longest value of one setting | 32767 bytes | as long as a metadata record |\n";

std::string shown(const std::string& text) {
  if (text.empty()) return "(empty)";
  return "`" + text + "`";
}

std::string allowed_cell(const ValueRule& rule) {
  auto text = describe_allowed(rule);
  return text.empty() ? "any" : text;
}

std::string_view effect_cell(Effect effect) {
  switch (effect) {
    case Effect::used:
      return "obeyed";
    case Effect::harmless:
      return "accepted, nothing acts on it yet";
    case Effect::default_only:
      return "only the default is accepted yet";
  }
  return "?";
}

/// (kind, name) -> default of Apache Kafka.
std::map<std::pair<std::string, std::string>, std::string> kafka_defaults(const std::string& facts) {
  std::map<std::pair<std::string, std::string>, std::string> result;
  std::istringstream lines(facts);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    std::vector<std::string> cells;
    std::istringstream pieces(line);
    for (std::string cell; std::getline(pieces, cell, '\t');) cells.push_back(cell);
    if (cells.size() < 3) continue;
    result[{cells[0], cells[1]}] = cells.size() > 3 ? cells[3] : "";
  }
  return result;
}

/// Why a default of ours is not Kafka's. A difference without a reason here fails the test.
std::string_view reason(std::string_view name) {
  if (name == "segment.bytes" || name == "log.segment.bytes")
    return "Retention, recovery and deletion work by segment; smaller ones keep each of them short.";
  if (name == "flush.messages" || name == "log.flush.interval.messages")
    return "An acknowledgement means on disk (group commit); Kafka leaves syncing to the operating system.";
  if (name == "socket.receive.buffer.bytes")
    return "The kernel adapts it to the connection; Kafka's 100 KiB cost half of the produce throughput.";
  if (name == "log.cleaner.io.max.bytes.per.second") return "No limit either way: more than any disk moves.";
  if (name == "group.initial.rebalance.delay.ms")
    return "A group of one should not wait; with several members that start together a second round is cheap.";
  if (name == "listeners") return "Nothing listens beyond this machine unless told to; there is no authentication yet.";
  if (name == "log.dirs") return "Relative to where the broker starts; Kafka's default is under /tmp.";
  if (name == "node.id") return "Kafka wants it set; one node needs no number of its own choosing.";
  return "";
}

}  // namespace

std::string render_config_page() {
  std::string page = "# Options\n\n";
  page += kGenerated;
  page +=
      "\nSources at a start, strongest first: a flag (`--log-segment-bytes 1GiB`), `--set log.segment.bytes=1GiB`, the "
      "environment\n"
      "(`MILLRACE_LOG_SEGMENT_BYTES`), `--config FILE.properties`, the default; within one the last wins. `millrace "
      "config explain`\nshows what would hold and where it comes from. Numbers of bytes take KiB, MiB and GiB.\n\n"
      "Over all of them stands what was set while brokers run, of one broker before that of all (`millrace config "
      "alter`,\n`kafka-configs.sh --entity-type brokers`, IncrementalAlterConfigs, AlterConfigs). It holds at once, is "
      "kept with the metadata and\nholds after a restart too. `millrace config describe` shows what holds in a running "
      "broker.\n\n"
      "## Broker\n\n`live` options can be set while the broker runs; the others are read at the start, and setting "
      "them "
      "is refused\n(INVALID_REQUEST). DescribeConfigs shows them as read-only.\n\n"
      "| option | type | default | allowed | applies | short flag | what it does |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const auto& option : broker_options())
    page += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", option.rule.name, to_string(option.rule.type),
                        option.default_text ? shown(*option.default_text) : "not set", allowed_cell(option.rule),
                        option.apply == Apply::live ? "live" : "restart",
                        option.short_flag.empty() ? "" : "`" + std::string(option.short_flag) + "`", option.help);
  page +=
      "\n## Topic\n\nSet per topic (`millrace topic create --config name=value`, `millrace topic alter --set "
      "name=value`, `kafka-configs.sh`);\nthe broker option is used for topics that do not set it. A change holds from "
      "the next append, and for retention and\ncompaction from the next look; it is kept with the metadata.\n\n"
      "| config | type | default | allowed | broker option | effect | what it does |\n|---|---|---|---|---|---|---|\n";
  for (const auto& option : topic_options()) {
    std::string synonyms;
    for (const auto& synonym : split_list(option.broker_synonyms)) {
      const auto name = synonym.substr(0, synonym.find('*'));
      if (find_broker_option(name) != nullptr) synonyms += (synonyms.empty() ? "`" : ", `") + name + "`";
    }
    page += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", option.rule.name, to_string(option.rule.type),
                        shown(option.default_text), allowed_cell(option.rule), synonyms, effect_cell(option.effect),
                        option.help);
  }
  return page;
}

std::string render_differences_page(const std::string& kafka_facts) {
  const auto kafka = kafka_defaults(kafka_facts);
  std::string page = "# Where our defaults differ from Kafka's\n\n";
  page += kGenerated;
  page +=
      "\nEverything else has Kafka's default. Compared with Apache Kafka 4.4.\n\n"
      "| scope | name | ours | Kafka's | why |\n|---|---|---|---|---|\n";
  auto row = [&](const std::string& scope, std::string_view name, const std::string& ours) {
    const auto found = kafka.find({scope, std::string(name)});
    if (found == kafka.end() || found->second == ours) return;
    page += fmt::format("| {} | `{}` | {} | {} | {} |\n", scope, name, shown(ours), shown(found->second), reason(name));
  };
  for (const auto& option : broker_options()) row("broker", option.rule.name, option.default_text.value_or(""));
  for (const auto& option : topic_options()) row("topic", option.rule.name, option.default_text);
  page += kWhileItRuns;
  return page;
}

}  // namespace mr::config
