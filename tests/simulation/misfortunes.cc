// What can go wrong in a history: one function each, which waits until it has happened and leaves a running broker.
#include <fmt/format.h>

#include "sim/network.h"
#include "storage/segment_names.h"
#include "tests/simulation/history.h"

namespace mr::sim {

using std::chrono::seconds;

void History::misfortune() {
  if (!fine()) return;
  struct Choice {
    std::uint64_t weight;
    Misfortune what;
  };
  static constexpr Choice kChoices[] = {
      {6, &History::crash},
      {5, &History::power_cut},
      {2, &History::clean_restart},
      {3, &History::killed_then_cut},
      {2, &History::connections_reset},
      {1, &History::accepts_fail},
      {2, &History::cut_wires},
      {2, &History::jump_clock},
      {2, &History::full_disk},
      {2, &History::no_descriptors},
      {2, &History::slow_disk},
      {2, &History::hung_disk},
      {2, &History::stutter},
      {5, &History::failed_call},
      {3, &History::failed_sync},
      {3, &History::faults_while_starting},
      {1, &History::short_reads},
      {3, &History::failed_directory},
      {2, &History::flipped_bits},
  };
  std::uint64_t total = 0;
  for (const Choice& choice : kChoices) total += choice.weight;
  std::uint64_t draw = rng_.below(total);
  Misfortune chosen = nullptr;
  for (const Choice& choice : kChoices) {
    if (draw < choice.weight) {
      chosen = choice.what;
      break;
    }
    draw -= choice.weight;
  }
  if (Misfortune liked = favourite(); liked != nullptr && rng_.one_in(2)) chosen = liked;
  (this->*chosen)();
  if (options_.mutation == Mutation::rotten_medium) rot();
}

/// What a mutation needs to show itself; without it the faults are as likely as ever.
History::Misfortune History::favourite() const {
  switch (options_.mutation) {
    case Mutation::sync_error_ignored:
    case Mutation::sync_retried:
      return &History::failed_sync;
    case Mutation::early_repeat:
    case Mutation::watermark_from_end:
    case Mutation::torn_tail_kept:
      return &History::stutter;
    case Mutation::journal_before_data:
      return &History::power_cut;
    case Mutation::recovered_tail_not_synced:
      return &History::killed_then_cut;
    default:
      return nullptr;
  }
}

void History::crash() {
  note("crash");
  crash_and_start(some_mode(), false);
}

void History::power_cut() {
  note("power cut after some file operations");
  host_.disk().crash_after(rng_.between(1, 60), some_mode());
  wait([&] { return host_.disk().crashed(); }, seconds(5));
  if (!fine() || !host_.disk().crashed()) {
    host_.disk().crash_after(0, CrashMode::random);
    return;
  }
  stage_.hit("sim.power_cut");
  crash_and_start(CrashMode::random, true);
}

void History::full_disk() {
  note("disk full");
  std::uint64_t refused = world_.probes().count("client.produce_error");
  host_.disk().set_total_bytes(host_.disk().used_bytes() + rng_.below(64 << 10));
  let(Millis(rng_.between(50, 1'500)));
  if (fine() && rng_.one_in(3)) restart_on_full_disk();
  host_.disk().set_total_bytes(512_MiB);
  if (!fine()) return;
  if (world_.probes().count("client.produce_error") > refused) stage_.hit("sim.full_disk_refused_a_produce");
  if (!node_.running()) start_again();
  let(Millis(200));
}

/// Neither stop nor start may hang; a start may be refused, and works when there is room.
void History::restart_on_full_disk() {
  note("restart on a full disk");
  start_may_fail_ = true;
  if (rng_.one_in(2)) {
    node_.crash(some_mode());
  } else {
    node_.stop();
    wait([&] { return node_.stopped(); }, seconds(120));
  }
  if (!node_.stopped()) stage_.ledger.violation("the broker hangs while stopping on a full disk\n" + world_.describe());
  if (fine()) {
    // What a crash left may be larger than the disk that the dead process had filled.
    host_.disk().set_total_bytes(host_.disk().used_bytes() + rng_.below(16 << 10));
    node_.start();
    wait([&] { return node_.running() || !node_.failure().empty(); }, seconds(120));
  }
  if (fine() && !node_.running() && node_.failure().empty()) {
    stage_.ledger.violation("the broker hangs while starting on a full disk\n" + world_.describe());
  }
  if (fine() && !node_.running() && !node_.failure().starts_with("disk_full") && !refused_for_now()) {
    stage_.ledger.violation("on a full disk the broker does not start: " + node_.failure());
  }
  stage_.hit(node_.running() ? "sim.started_on_full_disk" : "sim.full_disk_refused_the_start");
  if (!node_.running()) wait([&] { return node_.stopped(); }, seconds(120));
  start_may_fail_ = false;
}

void History::cut_wires() {
  note("partition");
  for (const char* name : {"c0", "c1"}) {
    if (rng_.one_in(2)) world_.network().partition(host_, *world_.find_host(name));
  }
  let(Millis(rng_.between(10, 2'000)));
  world_.network().heal();
  stage_.hit("sim.partition");
}

void History::rot() {
  if (auto at = some_log_byte()) host_.disk().flip_bit(at->path, at->position, at->bit);
}

std::optional<History::Place> History::some_log_byte() {
  std::vector<Place> places;
  for (const std::string& topic : {"t0", "t1"}) {
    for (int partition = 0; partition < 3; ++partition) {
      std::string directory = fmt::format("/data/{}-{}", topic, partition);
      auto entries = host_.disk().list(directory);
      if (!entries.ok()) continue;
      for (const DirEntry& entry : *entries) {
        if (!entry.name.ends_with(".log")) continue;
        std::string path = directory + "/" + entry.name;
        auto file = host_.disk().open(path, OpenMode::read);
        if (!file.ok() || (*file)->size().value() == 0) continue;
        places.push_back({path, rng_.below((*file)->size().value()), static_cast<unsigned>(rng_.below(8))});
      }
    }
  }
  if (places.empty()) return std::nullopt;
  return places[rng_.below(places.size())];
}

std::optional<std::byte> History::byte_at(const Place& place) {
  std::byte byte{};
  auto file = host_.disk().open(place.path, OpenMode::read);
  if (!file.ok() || (*file)->read_at({&byte, 1}, place.position).value_or(0) == 0) return std::nullopt;
  return byte;
}

/// The medium damages what a clean stop has left; some lives later it reads right again. In between nothing of it may
/// be cut, made up or left out: who asks for it hears CORRUPT_MESSAGE, all else goes on. After that everything is
/// there.
/// Not where memory is short: there reads go out unchecked (read_checks.h).
void History::flipped_bits() {
  if (node_.short_of_memory()) return clean_restart();
  note("bits flip");
  stop_cleanly();
  if (!fine()) return;
  // A full disk may have kept it from being clean; then the end of a log cannot be told from a torn one.
  auto clean = host_.disk().exists(fmt::format("/data/{}", storage::kCleanMarkerName));
  if (!clean.ok() || !*clean) return start_again();
  std::vector<Place> flipped;
  for (std::uint64_t i = rng_.between(1, 3); i > 0; --i) {
    if (auto at = some_log_byte()) flipped.push_back(*at);
  }
  for (const Place& at : flipped) note(fmt::format("... bit {} of byte {} of {}", at.bit, at.position, at.path));
  for (const Place& at : flipped) host_.disk().flip_bit(at.path, at.position, at.bit);
  std::vector<std::optional<std::byte>> bad;
  for (const Place& at : flipped) bad.push_back(byte_at(at));
  stage_.bad_reads_until = kForever;
  start_again();
  if (!fine()) return;
  let(Millis(rng_.between(50, 1'000)));
  if (fine() && rng_.one_in(2)) crash_and_start(some_mode(), false);
  if (!fine()) return;
  let(Millis(rng_.between(50, 1'000)));
  if (!fine()) return;
  stop_cleanly();
  if (!fine()) return;
  // What a start has put right from the commit journal stays right.
  for (std::size_t i = 0; i < flipped.size(); ++i)
    if (byte_at(flipped[i]) == bad[i]) host_.disk().flip_bit(flipped[i].path, flipped[i].position, flipped[i].bit);
  stage_.hit("sim.bits_flipped_back");
  start_again();
  stage_.bad_reads_until = world_.now() + seconds(1);  // for answers that are on their way
}

void History::jump_clock() {
  auto minutes = static_cast<std::int64_t>(rng_.below(120)) - 50;
  note(fmt::format("wall clock jumps by {} minutes", minutes));
  // Producers stamp with their own clocks: all machines jump together, within what topics accept.
  for (const char* name : {"broker", "c0", "c1"}) world_.find_host(name)->jump_wall(std::chrono::minutes(minutes));
  stage_.hit(minutes < 0 ? "sim.clock_back" : "sim.clock_forward");
}

/// kill -9, and soon after the new start the power goes: what recovery found and served must have been synced.
void History::killed_then_cut() {
  note("kill -9, start, power cut");
  node_.crash(CrashMode::keep_all);
  start_again();
  if (!fine()) return;
  let(Duration(rng_.below(40'000'000)));
  if (!fine()) return;
  stage_.hit("sim.killed_then_cut");
  crash_and_start(CrashMode::lose_unsynced, false);
}

void History::connections_reset() {
  note("connections reset");
  world_.network().reset_connections(host_);
  stage_.hit("sim.reset");
}

void History::accepts_fail() {
  note("accepts fail");
  world_.network().fail_accepts(host_, rng_.between(1, 4));
  world_.network().reset_connections(host_);
  stage_.hit("sim.accept_failed");
}

void History::stop_cleanly() {
  node_.stop();
  wait([&] { return node_.stopped(); }, seconds(120));
  if (fine() && !node_.stopped()) stage_.ledger.violation("the broker hangs while stopping\n" + world_.describe());
}

void History::clean_restart() {
  note("clean restart");
  stop_cleanly();
  if (!fine()) return;
  stage_.hit("sim.clean_restart");
  start_again();
}

/// Out of descriptors for a while: heals by itself.
void History::no_descriptors() {
  note("no descriptors");
  for (DiskOp op : {DiskOp::open, DiskOp::create}) {
    host_.disk().add_fault({.op = op, .times = Fault::kAlways, .one_in = 2, .error = Errc::resource_exhausted});
  }
  let(Millis(rng_.between(50, 1'500)));
  drop_failures();
  let(Millis(200));
}

void History::slow_disk() {
  static constexpr DiskOp kOps[] = {DiskOp::sync, DiskOp::sync, DiskOp::write, DiskOp::read};
  DiskOp op = kOps[rng_.below(std::size(kOps))];
  note(fmt::format("slow {}", to_string(op)));
  host_.disk().add_fault(
      {.kind = Fault::Kind::delay, .op = op, .times = rng_.between(1, 10), .delay = Millis(rng_.between(5, 400))});
}

/// Calls that do not come back for a while; some requests time out meanwhile.
void History::hung_disk() {
  static constexpr DiskOp kOps[] = {DiskOp::sync, DiskOp::sync, DiskOp::sync, DiskOp::write, DiskOp::read};
  DiskOp op = kOps[rng_.below(std::size(kOps))];
  note(fmt::format("{} hangs", to_string(op)));
  host_.disk().add_fault({.kind = Fault::Kind::hang, .op = op, .path_contains = ".log", .times = rng_.between(1, 6)});
  let(Millis(rng_.between(50, 3'000)));
  host_.disk().drop_faults(Fault::Kind::hang);
  host_.disk().wake_hung();
}

/// Syncs hang while producers lose their connections and send again; the next round hangs as well; then perhaps the
/// power goes. An answer that did not wait for its own sync shows.
void History::stutter() {
  note("syncs hang, connections reset, syncs hang again");
  Fault hang{.kind = Fault::Kind::hang, .op = DiskOp::sync, .path_contains = ".log", .times = Fault::kAlways};
  host_.disk().add_fault(hang);
  let(Millis(rng_.between(20, 200)));
  world_.network().reset_connections(host_);
  let(Millis(rng_.between(400, 1'500)));
  host_.disk().wake_hung();  // those that hang now come back; later ones hang as before
  let(Millis(rng_.between(20, 300)));
  stage_.hit("sim.stutter");
  bool crashes = rng_.one_in(2);
  host_.disk().drop_faults(Fault::Kind::hang);
  if (fine() && crashes) crash_and_start(rng_.one_in(2) ? CrashMode::lose_unsynced : CrashMode::random, false);
  host_.disk().wake_hung();
}

/// Syncs of logs fail, each losing what it likes; then the power goes, before anybody can tell the clients.
void History::failed_sync() {
  note("syncs fail, power cut");
  std::uint64_t before = world_.probes().count("disk.eio_sync");
  host_.disk().add_fault({.op = DiskOp::sync, .path_contains = ".log", .times = rng_.between(1, 4)});
  bool fired = wait([&] { return world_.probes().count("disk.eio_sync") > before; }, seconds(2));
  if (fired) let(Millis(rng_.below(30)));
  drop_failures();
  if (!fine()) return;
  stage_.hit("sim.failed_sync");
  crash_and_start(CrashMode::lose_unsynced, false);
}

/// A call fails for good (design section 5 rule 3): what it takes off line comes back with the next start.
void History::failed_call() {
  struct Call {
    DiskOp op;
    const char* path;
  };
  static constexpr Call kCalls[] = {{DiskOp::sync, ".log"},       {DiskOp::sync, ".log"},  {DiskOp::sync, ".log"},
                                    {DiskOp::write, ".log"},      {DiskOp::write, ".log"}, {DiskOp::read, ".log"},
                                    {DiskOp::sync_directory, ""}, {DiskOp::rename, ""},    {DiskOp::create, ""},
                                    {DiskOp::write, ".index"},    {DiskOp::remove, ""},    {DiskOp::sync, ""}};
  const Call& call = kCalls[rng_.below(std::size(kCalls))];
  note(fmt::format("a {} of '{}' fails", to_string(call.op), call.path));
  std::uint64_t fired = host_.disk().faults_fired();
  host_.disk().add_fault({.op = call.op, .path_contains = call.path});
  wait([&] { return host_.disk().faults_fired() > fired; }, seconds(2));
  drop_failures();
  if (!fine()) return;
  let(Millis(rng_.below(500)));
  if (!fine()) return;
  if (rng_.one_in(2)) {
    crash_and_start(some_mode(), false);
  } else {
    clean_restart();
  }
}

/// The disk fails while the broker starts. It may refuse to start or leave partitions off line; the start after that,
/// on a disk that works, finds everything.
void History::faults_while_starting() {
  static constexpr DiskOp kOps[] = {DiskOp::read, DiskOp::read,          DiskOp::sync,     DiskOp::write,
                                    DiskOp::open, DiskOp::create,        DiskOp::truncate, DiskOp::rename,
                                    DiskOp::list, DiskOp::sync_directory};
  DiskOp op = kOps[rng_.below(std::size(kOps))];
  note(fmt::format("a {} fails during the start", to_string(op)));
  if (rng_.one_in(3)) {
    stop_cleanly();
  } else {
    node_.crash(some_mode());
  }
  if (!fine()) return;
  bool descriptors = rng_.one_in(4) && (op == DiskOp::open || op == DiskOp::create);
  host_.disk().add_fault({.op = op,
                          .after = rng_.below(40),
                          .times = rng_.one_in(3) ? Fault::kAlways : 1,
                          .error = descriptors ? Errc::resource_exhausted : Errc::disk_failed});
  start_may_fail_ = true;
  node_.start();
  // A broker whose last log directory has failed stops by itself.
  wait([&] { return node_.running() || node_.stopped(); }, seconds(120));
  if (fine() && !node_.running() && !node_.stopped()) {
    stage_.ledger.violation("the broker hangs while starting on a failing disk\n" + world_.describe());
  }
  stage_.hit(node_.running() ? "sim.started_on_failing_disk" : "sim.failing_disk_refused_the_start");
  let(Millis(rng_.below(100)));
  drop_failures();
  if (!fine()) return;
  if (!node_.running()) wait([&] { return node_.stopped(); }, seconds(120));
  start_may_fail_ = false;
  if (!fine()) return;
  if (node_.running()) {
    crash_and_start(some_mode(), false);
  } else {
    start_again();
  }
}

/// The device brings less than there is, while the broker serves.
void History::short_reads() {
  note("short reads");
  stage_.bad_reads_until = kForever;
  host_.disk().add_fault(
      {.kind = Fault::Kind::cut_read, .op = DiskOp::read, .path_contains = ".log", .times = rng_.between(1, 5)});
  let(Millis(rng_.between(50, 500)));
  host_.disk().drop_faults(Fault::Kind::cut_read);
  clean_restart();
  stage_.bad_reads_until = world_.now() + seconds(1);  // for answers that are on their way
}

/// Of two log directories one fails; nobody may notice who has nothing there. Half of the time it works again at the
/// next start; else it stays as it is, and what lies there is out of reach for the rest of the history.
void History::failed_directory() {
  if (directory_failed_ || node_.log_dirs() < 2) return crash();
  note("a log directory fails");
  auto there = host_.disk().list(kSecondDirectory);
  directory_failed_ = true;
  drop_failures();
  std::uint64_t acked = stage_.ledger.acked_count();
  let(Millis(rng_.between(200, 2'000)));
  if (stage_.ledger.acked_count() > acked) stage_.hit("sim.log_dir_failed");
  if (!fine()) return;
  if (rng_.one_in(2) || !there.ok()) {
    directory_failed_ = false;
    drop_failures();
  } else {
    note("... for good");
    stage_.hit("sim.log_dir_failed_for_good");
    for (const DirEntry& entry : *there) {
      std::size_t dash = entry.name.rfind('-');
      if (!entry.is_directory || dash == std::string::npos) continue;
      stage_.lost.insert({entry.name.substr(0, dash), std::atoi(entry.name.c_str() + dash + 1)});
    }
  }
  if (rng_.one_in(2)) {
    crash_and_start(some_mode(), false);
  } else {
    clean_restart();
  }
}

/// All but those of the directory that has failed.
void History::drop_failures() {
  host_.disk().drop_faults(Fault::Kind::fail);
  if (!directory_failed_) return;
  for (int op = 0; op <= static_cast<int>(DiskOp::list); ++op) {
    host_.disk().add_fault({.op = static_cast<DiskOp>(op), .path_contains = kSecondDirectory, .times = Fault::kAlways});
  }
}

}  // namespace mr::sim
