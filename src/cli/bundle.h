#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "runtime/env.h"

/// What `bundle` gathers for a bug report. Never keys or values of records.
namespace mr::cli {

struct BundlePart {
  std::string name;  ///< in the archive
  std::string from;  ///< for people
  std::string content;
};
struct BundleGap {
  std::string what;
  std::string why;
};
struct Bundle {
  std::vector<BundlePart> parts;
  std::vector<BundleGap> missing;

  void add(std::string name, std::string from, std::string content) {
    parts.push_back({std::move(name), std::move(from), std::move(content)});
  }
  void add_json(std::string name, std::string from, const Value& value);
  void lacks(std::string what, const Error& why);
};

/// The manifest, as the archive has it.
std::string manifest_of(const Bundle& bundle, std::string_view version, WallMillis now);

struct BundleQuestions {
  std::optional<Address> http;
  std::vector<Address> bootstrap;
  Duration patience;
};
/// What the broker answers, by HTTP and by Kafka's protocol; each part that it does not give is a gap.
Task<void> ask_broker(Env& env, Bundle& bundle, BundleQuestions questions);

}  // namespace mr::cli
