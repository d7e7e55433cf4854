#pragma once
#include <string>

namespace mr::config {

/// The text of docs/config.md and docs/differences.md, out of the tables. A test compares them with the files.
std::string render_config_page();
/// Needs Kafka's own defaults: the text of kafka_configs.tsv.
std::string render_differences_page(const std::string& kafka_facts);

}  // namespace mr::config
