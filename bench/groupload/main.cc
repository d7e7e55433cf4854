// groupload: see bench/README.md.
#include "bench/groupload/works.h"

int main(int argc, char** argv) {
  const mr::bench::GroupOptions options = mr::bench::parse_group_options(argc, argv);
  bool good = true;
  for (const std::string& work : options.works) good &= mr::bench::do_work(options, work);
  return good ? 0 : 1;
}
