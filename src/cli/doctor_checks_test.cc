// Aim: each fact means what an operator would say, and what is not well has something to type. Method: facts as values.
#include "cli/doctor_checks.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace mr::cli {
namespace {

DirectoryFacts healthy_directory() {
  return {.path = "/data",
          .user = "kate",
          .there = "/data",
          .cluster_id = "c",
          .node_id = 1,
          .partitions = 3,
          .mount = Mount{"/", "ext4", "/dev/vda1", false},
          .space = SpaceInfo{.total_bytes = 100ull << 30, .free_bytes = 50ull << 30},
          .reserve_bytes = 256_MiB,
          .journal_bytes = 512_MiB,
          .sync_tested = true,
          .sync_median = std::chrono::microseconds(100),
          .sync_p99 = std::chrono::milliseconds(2)};
}

const Check& named(const Checks& checks, std::string_view name) {
  for (const Check& check : checks)
    if (check.name.starts_with(name)) return check;
  ADD_FAILURE() << "no check " << name;
  return checks.front();
}

/// The state of one check; a fix must be there exactly when something is not well.
CheckState state_of(const Checks& checks, std::string_view name) {
  const Check& check = named(checks, name);
  EXPECT_FALSE(check.found.empty());
  EXPECT_EQ(check.fix.empty(), check.state == CheckState::ok) << check.found;
  return check.state;
}

TEST(DoctorChecks, AHealthyDirectoryHasNothingToFix) {
  const Checks checks = judge_directory(healthy_directory(), 1);
  EXPECT_EQ(checks.size(), 4u);
  EXPECT_EQ(worst(checks), CheckState::ok);
  for (const Check& check : checks) EXPECT_TRUE(check.fix.empty()) << check.name;
  EXPECT_NE(named(checks, "sync speed").found.find("10000 a second"), std::string::npos)
      << named(checks, "sync speed").found;
}

TEST(DoctorChecks, Directory) {
  auto with = [](auto change) {
    DirectoryFacts f = healthy_directory();
    change(f);
    return judge_directory(f, 1);
  };
  auto state = [&](auto change) { return state_of(with(change), "directory"); };
  EXPECT_EQ(state([](auto& f) { f.there = "/"; }), CheckState::ok) << "the broker makes it";
  EXPECT_EQ(state([](auto& f) { f.lock = {true, 812}; }), CheckState::ok);
  EXPECT_NE(with([](auto& f) { f.lock = {true, 812}; })[0].found.find("812"), std::string::npos);
  EXPECT_EQ(state([](auto& f) { f.unusable = Error(Errc::permission_denied); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) {
              f.there = "/";
              f.unusable = Error(Errc::permission_denied);
            }),
            CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.unusable = Error(Errc::disk_failed, "read-only"); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.unusable = Error(Errc::not_found, "no directory"); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.identity_error = Error(Errc::newer_format, "version 2"); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.identity_error = Error(Errc::permission_denied, "x"); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.identity_error = Error(Errc::corrupt_data, "x"); }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) { f.node_id = 2; }), CheckState::bad);
  EXPECT_EQ(state([](auto& f) {
              f.unusable_files = 2;
              f.unusable_example = "t-0/x.log";
            }),
            CheckState::bad);
}

TEST(DoctorChecks, FileSystemsThatForgetOrAreFar) {
  for (const char* kind : {"tmpfs", "overlay", "nfs4", "fuse.sshfs", "9p", "cifs"}) {
    DirectoryFacts f = healthy_directory();
    f.mount->kind = kind;
    EXPECT_EQ(state_of(judge_directory(f, 1), "file system"), CheckState::warn) << kind;
  }
  for (const char* kind : {"ext4", "xfs", "btrfs", "fuseblk", "zfs"}) {
    DirectoryFacts f = healthy_directory();
    f.mount->kind = kind;
    EXPECT_EQ(state_of(judge_directory(f, 1), "file system"), CheckState::ok) << kind;
  }
}

TEST(DoctorChecks, Space) {
  auto state = [](std::uint64_t free, bool running) {
    DirectoryFacts f = healthy_directory();
    f.space->free_bytes = free;
    f.lock.held = running;
    return state_of(judge_directory(f, 1), "free space");
  };
  EXPECT_EQ(state(255_MiB, true), CheckState::bad);
  DirectoryFacts small = healthy_directory();
  small.space = SpaceInfo{.total_bytes = 2ull << 30, .free_bytes = 600_MiB};
  EXPECT_EQ(state_of(judge_directory(small, 1), "free space"), CheckState::warn) << "journals are still to be made";
  small.lock.held = true;
  EXPECT_EQ(state_of(judge_directory(small, 1), "free space"), CheckState::ok) << "they are there";
  EXPECT_EQ(state(4ull << 30, true), CheckState::warn) << "less than a twentieth";
  EXPECT_EQ(state(10ull << 30, false), CheckState::ok);
}

TEST(DoctorChecks, SyncSpeed) {
  DirectoryFacts f = healthy_directory();
  f.sync_median = std::chrono::milliseconds(20);
  EXPECT_EQ(state_of(judge_directory(f, 1), "sync speed"), CheckState::warn);
  f.sync_median = std::chrono::microseconds(2);
  EXPECT_EQ(state_of(judge_directory(f, 1), "sync speed"), CheckState::ok) << "only a hint";
  EXPECT_NE(judge_directory(f, 1).back().found.find("Faster than any device"), std::string::npos);
  f.sync_p99 = std::chrono::milliseconds(300);
  f.sync_median = std::chrono::milliseconds(1);
  EXPECT_EQ(state_of(judge_directory(f, 1), "sync speed"), CheckState::warn);
  f.sync_error = Error(Errc::disk_failed, "sync: I/O error");
  EXPECT_EQ(state_of(judge_directory(f, 1), "sync speed"), CheckState::bad);
}

MachineFacts healthy_machine() {
  return {.descriptors = {1024, 1048576},
          .partitions = 100,
          .connections_max = config::kInt32Max,
          .usable_memory_bytes = 8ull << 30,
          .cores = 4,
          .clock = ClockState{true, 20}};
}

TEST(DoctorChecks, Machine) {
  EXPECT_EQ(worst(judge_machine(healthy_machine())), CheckState::ok);
  MachineFacts f = healthy_machine();
  f.descriptors = {1024, 1024};
  EXPECT_EQ(state_of(judge_machine(f), "open files"), CheckState::warn) << "1000 connections want more";
  f.connections_max = 50;
  EXPECT_EQ(state_of(judge_machine(f), "open files"), CheckState::ok);
  f.partitions = 1000;
  EXPECT_EQ(state_of(judge_machine(f), "open files"), CheckState::bad) << "not even the partitions";
  f = healthy_machine();
  f.memory_setting = 9ll << 30;
  EXPECT_EQ(state_of(judge_machine(f), "memory"), CheckState::bad);
  f.memory_setting = 7ll << 30;
  EXPECT_EQ(state_of(judge_machine(f), "memory"), CheckState::warn);
  f.memory_setting = 0;
  f.usable_memory_bytes = 128_MiB;
  EXPECT_EQ(state_of(judge_machine(f), "memory"), CheckState::warn);
  f.shards_setting = 8;
  EXPECT_EQ(state_of(judge_machine(f), "cores"), CheckState::warn);
  f.clock->synchronised = false;
  EXPECT_EQ(state_of(judge_machine(f), "clock"), CheckState::warn);
  f.clock.reset();
  EXPECT_EQ(state_of(judge_machine(f), "clock"), CheckState::ok) << "not known is not wrong";
}

TEST(DoctorChecks, Listeners) {
  ListenerFacts f{.option = "listeners", .name = "PLAINTEXT", .address = {"0.0.0.0", 9092}};
  auto state = [&] { return state_of({judge_listener(f)}, "listener 0.0.0.0:"); };
  EXPECT_EQ(state(), CheckState::ok);
  f.cannot_listen = Error(Errc::in_use);
  EXPECT_EQ(state(), CheckState::bad);
  f.answers_as_ours = true;
  EXPECT_EQ(state(), CheckState::ok);
  f.answers_as_ours = false;
  f.cannot_listen = Error(Errc::permission_denied);
  EXPECT_EQ(state(), CheckState::bad);
  f.cannot_listen = Error(Errc::invalid_argument, "cannot assign");
  EXPECT_EQ(state(), CheckState::bad);
  f.address.port = 0;
  EXPECT_EQ(state(), CheckState::ok);
  f.option = "http.listeners";
  EXPECT_EQ(judge_listener(f).name, "http 0.0.0.0:0");
}

TEST(DoctorChecks, AdvertisedAddresses) {
  AdvertisedFacts f{.listener = "PLAINTEXT", .listen = {"", 9092}};
  auto check = [&] { return judge_advertised(f); };
  auto state = [&] { return state_of({check()}, "advertised"); };
  EXPECT_EQ(state(), CheckState::ok);
  f.in_container = true;
  EXPECT_EQ(state(), CheckState::warn) << "clients outside are told an address inside";
  f.listen.host = "127.0.0.1";
  EXPECT_EQ(state(), CheckState::ok);
  f.listen.host = "0.0.0.0";
  f.advertised = Address{"broker1", 9192};
  f.resolved = {"10.0.0.5"};
  EXPECT_EQ(state(), CheckState::ok);
  EXPECT_NE(check().found.find("10.0.0.5"), std::string::npos);
  f.resolved = {"127.0.1.1"};
  EXPECT_EQ(state(), CheckState::warn) << "other machines would talk to themselves";
  EXPECT_EQ(check().fix, "--set advertised.listeners=PLAINTEXT://NAME-OF-THIS-MACHINE:9192");
  f.unresolved = Error(Errc::not_found, "broker1: no such name");
  EXPECT_EQ(state(), CheckState::bad);
  f.advertised->host = "0.0.0.0";
  EXPECT_EQ(state(), CheckState::bad);
}

TEST(DoctorChecks, ABrokerThatDoesNotAnswer) {
  BrokerFacts f{.asked = {"h", 9092}, .error = Error(Errc::connection_refused, "cannot connect to h:9092")};
  auto state = [&] { return state_of(judge_broker(f), "broker h:9092"); };
  EXPECT_EQ(state(), CheckState::ok) << "none needs to run";
  f.directory_in_use = true;
  EXPECT_EQ(state(), CheckState::bad);
  f.http_status = "recovering";
  EXPECT_EQ(state(), CheckState::warn);
  f.http_status = "";
  f.directory_in_use = false;
  f.given = true;
  EXPECT_EQ(state(), CheckState::bad);
}

TEST(DoctorChecks, ABrokerThatAnswers) {
  BrokerFacts f{.asked = {"h", 9092}, .cluster_id = "c", .version = "1.0", .own_version = "1.0"};
  f.told.push_back({BrokerId{1}, {"localhost", 9092}, std::nullopt, true});
  EXPECT_EQ(worst(judge_broker(f)), CheckState::ok);
  f.told[0].error = Error(Errc::connection_refused, "refused");
  EXPECT_EQ(state_of(judge_broker(f), "address of broker 1"), CheckState::bad);
  EXPECT_NE(judge_broker(f)[1].fix.find("PLAINTEXT://h:9092"), std::string::npos) << "where it did answer";
  f.told[0].error.reset();
  f.told[0].same_broker = false;
  EXPECT_EQ(state_of(judge_broker(f), "address of broker 1"), CheckState::bad);
  f.version = "0.9";
  EXPECT_EQ(state_of(judge_broker(f), "broker h:9092"), CheckState::warn);
  f.http_status = "degraded";
  EXPECT_EQ(state_of(judge_broker(f), "broker h:9092"), CheckState::bad);
}

}  // namespace
}  // namespace mr::cli
