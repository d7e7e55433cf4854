// bare: see bench/README.md.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "bench/bare/server.h"

int main(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "--dir") {
    fmt::print(stderr,
               "bare --dir DIRECTORY\nThe least that takes kload's produce requests; the limit for a broker.\n");
    return 2;
  }
  std::string directory = argv[2];
  std::filesystem::create_directories(directory);
  mr::bench::BareServer server(directory);
  // Readers see the file whole or not at all.
  std::ofstream(directory + "/ready.new") << fmt::format("{{\"kafka\":\"127.0.0.1:{}\"}}\n", server.port());
  std::filesystem::rename(directory + "/ready.new", directory + "/ready.json");
  server.run();
}
