#pragma once
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "cli/commands.h"

/// What the options of several commands have in common. Only for parse*.cc: CLI11 takes 11 s to compile.
namespace mr::cli {

inline const std::map<std::string, OutputFormat> kFormats = {{"table", OutputFormat::table},
                                                             {"json", OutputFormat::json},
                                                             {"yaml", OutputFormat::yaml},
                                                             {"ndjson", OutputFormat::ndjson}};
inline const std::map<std::string, Codec> kCodecs = {{"none", Codec::none},
                                                     {"gzip", Codec::gzip},
                                                     {"snappy", Codec::snappy},
                                                     {"lz4", Codec::lz4},
                                                     {"zstd", Codec::zstd}};
inline const std::map<std::string, std::int16_t> kAcks = {{"all", -1}, {"-1", -1}, {"1", 1}, {"leader", 1}, {"0", 0}};

struct ParserBase {
  CommandLine line;

  template <class Command>
  void runs(CLI::App* app, Command& command) {
    app->callback([this, &command] { line.command = std::move(command); });
  }

  template <class T>
  static CLI::Option* choice(CLI::App* app, const std::string& names, T& into, const std::map<std::string, T>& choices,
                             const std::string& help) {
    auto take = [&into, &choices, names](const std::string& text) {
      auto at = choices.find(CLI::detail::to_lower(text));
      if (at == choices.end()) {
        std::string all;
        for (const auto& [name, value] : choices) all += (all.empty() ? "" : ", ") + name;
        throw CLI::ValidationError(names.substr(names.find("--")), fmt::format("'{}' is not one of: {}", text, all));
      }
      into = at->second;
    };
    return app->add_option_function<std::string>(names, take, help);
  }
  CLI::App* connected(CLI::App* app) {
    app->add_option("-b,--bootstrap-server", line.common.bootstrap, "Brokers to connect to first, HOST:PORT[,...].")
        ->envname("MILLRACE_BOOTSTRAP_SERVER")
        ->capture_default_str()
        ->type_name("ADDRESS");
    auto* timeout = app->add_option("--timeout-ms", line.common.timeout_ms, "Give up after this long (exit code 124).")
                        ->check(CLI::Range(std::int64_t{1}, std::int64_t{86'400'000}))
                        ->capture_default_str()
                        ->type_name("MS");
    app->parse_complete_callback([this, timeout] { line.common.timeout_given |= timeout->count() > 0; });
    return formatted(app);
  }
  CLI::App* formatted(CLI::App* app) {
    choice(app, "-o,--output", line.common.output, kFormats, "table, json, yaml or ndjson.")->type_name("FORMAT");
    app->add_flag("-q,--quiet", line.common.quiet, "No talk on standard error but errors.");
    return app;
  }
  void dry(CLI::App* app) {
    app->add_flag("--dry-run", line.common.dry_run, "Check and show what would be done, change nothing.");
  }
};

}  // namespace mr::cli
