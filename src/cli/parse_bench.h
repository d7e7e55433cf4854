#pragma once
#include "cli/parse_base.h"

namespace mr::cli {

/// The options of `millrace bench ...`.
class BenchParser {
 public:
  /// `base`, whose command line is filled, must outlive this.
  explicit BenchParser(ParserBase& base) : base_(base) {}
  void add(CLI::App& app);

 private:
  CLI::App* measured(CLI::App* app, bool& progress);
  CLI::Option* load(CLI::App* app, BenchLoad& load);
  void add_produce(CLI::App& bench);
  void add_consume(CLI::App& bench);
  void add_end_to_end(CLI::App& bench);
  void add_groups(CLI::App& bench);

  ParserBase& base_;
  BenchProduce produce_;
  BenchConsume consume_;
  BenchEndToEnd end_to_end_;
  BenchGroups groups_;
};

}  // namespace mr::cli
