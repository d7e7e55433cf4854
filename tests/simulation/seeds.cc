#include "tests/simulation/seeds.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "base/check.h"

namespace mr::sim {

namespace {

/// One process that runs seeds and writes what came of them to a pipe: "begin SEED", then the outcome's lines, "end".
struct Worker {
  pid_t process = -1;
  int pipe = -1;
  std::vector<std::uint64_t> seeds;  ///< not heard of yet, in the order they run
  std::string text;                  ///< read and not yet taken
};

void put(int pipe, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    ssize_t count = ::write(pipe, text.data() + done, text.size() - done);
    if (count <= 0) ::_exit(3);
    done += static_cast<std::size_t>(count);
  }
}

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', '\x01');
  return text;
}
std::string many_lines(std::string text) {
  std::ranges::replace(text, '\x01', '\n');
  return text;
}

std::string encode(const BrokerSimResult& r) {
  std::string text =
      fmt::format("counts {} {} {} {} {}\n", r.trace_hash, r.steps, r.acked, r.fetched, r.virtual_seconds);
  for (const auto& [name, count] : r.probes) text += fmt::format("probe {} {}\n", name, count);
  for (const std::string& violation : r.violations) text += "violation " + one_line(violation) + "\n";
  return text + "end\n";
}

BrokerSimResult decode(const std::string& text) {
  BrokerSimResult r;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "counts") {
      words >> r.trace_hash >> r.steps >> r.acked >> r.fetched >> r.virtual_seconds;
    } else if (word == "probe") {
      std::string name;
      words >> name;
      words >> r.probes[name];
    } else if (word == "violation") {
      r.violations.push_back(many_lines(line.substr(word.size() + 1)));
    }
  }
  return r;
}

void start(Worker& worker, BrokerSimOptions options) {
  std::fflush(nullptr);
  int ends[2];
  MR_CHECK(::pipe(ends) == 0);
  worker.process = ::fork();
  MR_CHECK(worker.process >= 0);
  if (worker.process == 0) {
    ::close(ends[0]);
    for (std::uint64_t seed : worker.seeds) {
      options.seed = seed;
      put(ends[1], encode(run_broker_sim(options)));
    }
    std::fflush(nullptr);
    ::_exit(0);
  }
  ::close(ends[1]);
  worker.pipe = ends[0];
}

/// Takes what the worker has said. False when it has nothing more to say.
bool listen(Worker& worker, const std::function<void(const SeedOutcome&)>& on_outcome) {
  char bytes[4096];
  ssize_t count = ::read(worker.pipe, bytes, sizeof bytes);
  if (count <= 0) return false;
  worker.text.append(bytes, static_cast<std::size_t>(count));
  for (std::size_t end; (end = worker.text.find("\nend\n")) != std::string::npos;) {
    SeedOutcome outcome{.seed = worker.seeds.front(), .result = decode(worker.text.substr(0, end + 1))};
    worker.text.erase(0, end + 5);
    worker.seeds.erase(worker.seeds.begin());
    on_outcome(outcome);
  }
  return true;
}

/// The worker has ended; a seed it died of is an outcome, and the others begin again.
void bury(Worker& worker, const BrokerSimOptions& options, const std::function<void(const SeedOutcome&)>& on_outcome) {
  ::close(worker.pipe);
  worker.pipe = -1;
  int status = 0;
  MR_CHECK(::waitpid(worker.process, &status, 0) == worker.process);
  if (worker.seeds.empty()) return;
  SeedOutcome outcome{.seed = worker.seeds.front(), .result = {}};
  outcome.result.violations.push_back(WIFSIGNALED(status)
                                          ? fmt::format("the process died of signal {}", WTERMSIG(status))
                                          : fmt::format("the process ended with {}", WEXITSTATUS(status)));
  worker.seeds.erase(worker.seeds.begin());
  worker.text.clear();
  on_outcome(outcome);
  if (!worker.seeds.empty()) start(worker, options);
}

}  // namespace

std::vector<CorpusEntry> read_corpus(const std::string& path) {
  std::vector<CorpusEntry> entries;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    CorpusEntry entry;
    if (!(words >> entry.seed)) continue;
    std::getline(words >> std::ws, entry.why);
    entries.push_back(std::move(entry));
  }
  return entries;
}

void run_seeds(const std::vector<std::uint64_t>& seeds, const BrokerSimOptions& options, unsigned workers,
               const std::function<void(const SeedOutcome&)>& on_outcome) {
  std::vector<Worker> all(std::max(1u, std::min<unsigned>(workers, static_cast<unsigned>(seeds.size()))));
  for (std::size_t i = 0; i < seeds.size(); ++i) all[i % all.size()].seeds.push_back(seeds[i]);
  for (Worker& worker : all) {
    if (!worker.seeds.empty()) start(worker, options);
  }
  while (true) {
    std::vector<pollfd> waiting;
    std::vector<Worker*> whose;
    for (Worker& worker : all) {
      if (worker.pipe < 0) continue;
      waiting.push_back({.fd = worker.pipe, .events = POLLIN, .revents = 0});
      whose.push_back(&worker);
    }
    if (waiting.empty()) return;
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents != 0 && !listen(*whose[i], on_outcome)) bury(*whose[i], options, on_outcome);
    }
  }
}

namespace {

/// Which seeds are kept, by their place among the outcomes, and why.
using Kept = std::map<std::size_t, std::string>;

/// Seeds that reach probes which at most one in twenty reaches, until each of those is reached `times` times (or by all
/// that do).
void keep_rare_probes(const std::vector<SeedOutcome>& outcomes, std::size_t times, std::size_t most, Kept& kept) {
  std::map<std::string, std::vector<std::size_t>> reached;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    for (const auto& [name, count] : outcomes[i].result.probes) reached[name].push_back(i);
  }
  std::map<std::string, std::size_t> covered;
  std::vector<std::pair<std::size_t, std::string>> rarest;
  for (const auto& [name, seeds] : reached) {
    if (seeds.size() * 20 <= outcomes.size()) rarest.emplace_back(seeds.size(), name);
  }
  std::ranges::sort(rarest);
  for (const auto& [count, name] : rarest) {
    for (std::size_t i : reached[name]) {
      if (covered[name] >= times || kept.size() >= most) break;
      if (!kept.try_emplace(i, "reaches " + name).second) continue;
      for (const auto& [other, hits] : outcomes[i].result.probes) ++covered[other];
    }
  }
}

/// Pairs of probes that seeds take in one history, and how many of those kept do.
class Pairs {
 public:
  Pairs(const std::vector<SeedOutcome>& outcomes, std::size_t times) : times_(times) {
    std::map<std::string, std::size_t> numbers;
    for (const SeedOutcome& outcome : outcomes) {
      for (const auto& [name, count] : outcome.result.probes) numbers.try_emplace(name, numbers.size());
    }
    count_ = numbers.size();
    kept_by_.resize(count_ * count_);
    for (const SeedOutcome& outcome : outcomes) {
      auto& probes = probes_.emplace_back();
      for (const auto& [name, count] : outcome.result.probes) probes.push_back(numbers[name]);
    }
  }
  /// That outcome `i` has, and too few of those kept.
  std::size_t wanted(std::size_t i) const {
    std::size_t sum = 0;
    for_each(i, [&](std::size_t pair) { sum += kept_by_[pair] < times_; });
    return sum;
  }
  void keep(std::size_t i) {
    for_each(i, [&](std::size_t pair) { ++kept_by_[pair]; });
  }

 private:
  template <class F>
  void for_each(std::size_t i, F f) const {
    const std::vector<std::size_t>& probes = probes_[i];
    for (std::size_t a : probes) {
      for (std::size_t b : probes) {
        if (a < b) f(a * count_ + b);
      }
    }
  }
  std::size_t count_ = 0;
  std::size_t times_;
  std::vector<std::size_t> kept_by_;
  std::vector<std::vector<std::size_t>> probes_;
};

/// Seeds that bring the most pairs of probes in one history which fewer than `times` of those kept have, until there
/// are none.
void keep_rare_pairs(const std::vector<SeedOutcome>& outcomes, std::size_t times, std::size_t most, Kept& kept) {
  Pairs pairs(outcomes, times);
  for (const auto& [i, why] : kept) pairs.keep(i);
  while (kept.size() < most) {
    std::size_t best = 0, gain = 0;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      std::size_t wanted = kept.contains(i) ? 0 : pairs.wanted(i);
      if (wanted > gain) std::tie(best, gain) = std::tie(i, wanted);
    }
    if (gain == 0) return;
    pairs.keep(best);
    kept.emplace(best, fmt::format("reaches pairs of paths that few of the others do, {} of them", gain));
  }
}

}  // namespace

std::vector<CorpusEntry> pick_rare(const std::vector<SeedOutcome>& outcomes, std::size_t times, std::size_t most) {
  Kept kept;
  keep_rare_probes(outcomes, times, most, kept);
  keep_rare_pairs(outcomes, times, most, kept);
  std::vector<CorpusEntry> entries;
  for (const auto& [i, why] : kept) entries.push_back({.seed = outcomes[i].seed, .why = why});
  return entries;
}

}  // namespace mr::sim
