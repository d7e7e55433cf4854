// Our half of the comparison with Java, run by run.sh:
//   wire_golden keys                      the API keys with a schema
//   wire_golden check FILE                each frame of Java's: exit 1 on a difference
//   wire_golden write FILE SEED PER       random frames of ours, for Java to check
#include <cstdio>
#include <fstream>
#include <iostream>

#include "tests/golden/frames.h"
#include "wire/api_info.h"

namespace {

int check(const char* file) {
  std::ifstream in(file);
  std::string line;
  int all = 0;
  int bad = 0;
  while (std::getline(in, line)) {
    if (line.starts_with('#')) continue;
    ++all;
    auto problem = mr::golden::problem_of(line);
    if (problem && bad++ < 10) std::cout << line.substr(0, 40) << ": " << *problem << "\n";
  }
  std::cout << "c++: " << all << " frames checked, " << bad << " differ\n";
  return bad == 0 && all > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "keys") {
    for (const mr::wire::ApiInfo& api : mr::wire::apis()) std::cout << static_cast<int>(api.key) << " ";
    std::cout << "\n";
    return 0;
  }
  if (mode == "check" && argc == 3) return check(argv[2]);
  if (mode == "write" && argc == 5) {
    std::ofstream out(argv[2]);
    for (const std::string& line : mr::golden::make_lines(std::stoull(argv[3]), std::stoi(argv[4])))
      out << line << "\n";
    return out.flush().good() ? 0 : 1;
  }
  std::cerr << "usage: wire_golden keys | check FILE | write FILE SEED PER_VERSION\n";
  return 2;
}
