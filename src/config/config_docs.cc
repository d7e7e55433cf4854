// config_docs SOURCE_DIR: writes docs/config.md and docs/differences.md there.
#include <fstream>
#include <iostream>
#include <sstream>

#include "config/docs.h"

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: config_docs SOURCE_DIR\n";
    return 2;
  }
  const std::string source = arguments[1];
  std::ifstream facts(source + "/src/config/kafka_configs.tsv");
  std::ostringstream text;
  text << facts.rdbuf();
  std::ofstream(source + "/docs/config.md") << mr::config::render_config_page();
  std::ofstream(source + "/docs/differences.md") << mr::config::render_differences_page(text.str());
  return facts ? 0 : 1;
}
