// Aim: command lines become the commands they say; nonsense is exit code 2 and help is 0. Method: whole command lines.
#include "cli/parse.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

std::expected<CommandLine, int> parsed(std::vector<const char*> words) {
  words.insert(words.begin(), "millrace");
  return parse(static_cast<int>(words.size()), words.data());
}
template <class Command>
Command command(std::vector<const char*> words) {
  auto line = parsed(std::move(words));
  EXPECT_TRUE(line.has_value());
  if (!line || !std::holds_alternative<Command>(line->command)) {
    ADD_FAILURE() << "another command";
    return {};
  }
  return std::get<Command>(line->command);
}

TEST(Parse, ServeTakesShortLongAndSet) {
  auto serve = command<Serve>(
      {"serve", "--data-dir", "d", "--kafka", "127.0.0.1:0", "--log-segment-bytes", "8MiB", "--set", "node.id=7"});
  EXPECT_FALSE(serve.dev);
  ASSERT_EQ(serve.inputs.size(), 4u);
  auto value_of = [&](std::string_view name) {
    for (const auto& input : serve.inputs)
      if (input.name == name) return input.value;
    return std::string("missing");
  };
  EXPECT_EQ(value_of("log.dirs"), "d");
  EXPECT_EQ(value_of("listeners"), "127.0.0.1:0");
  EXPECT_EQ(value_of("log.segment.bytes"), "8MiB");
  EXPECT_EQ(value_of("node.id"), "7");
  EXPECT_TRUE(command<Serve>({"dev"}).dev);
  // Scripts put their own choice first and pass on what the user typed: the last wins.
  auto twice = command<Serve>({"serve", "--kafka", "127.0.0.1:0", "--kafka", "127.0.0.1:9"});
  EXPECT_EQ(twice.inputs.back().value, "127.0.0.1:9");
}

TEST(Parse, PubAndSub) {
  auto pub = command<Pub>({"pub", "t", "v", "-k", "k", "-H", "a=b", "-z", "zstd", "-a", "1", "-n", "5", "-p", "2"});
  EXPECT_EQ(pub.topic, "t");
  EXPECT_EQ(pub.value, "v");
  EXPECT_EQ(pub.key, "k");
  EXPECT_EQ(pub.codec, Codec::zstd);
  EXPECT_EQ(pub.acks, 1);
  EXPECT_EQ(pub.count, 5u);
  EXPECT_TRUE(pub.count_given);
  EXPECT_FALSE(command<Pub>({"pub", "t"}).value.has_value());
  auto sub = command<Sub>({"sub", "t", "--from=-10", "-p", "1", "-p", "2", "-e"});
  EXPECT_EQ(sub.from, "-10");
  EXPECT_EQ(sub.partitions, (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(sub.exit_at_end);
}

TEST(Parse, Groups) {
  auto seek = command<GroupSeek>({"group", "seek", "g", "--to", "-5m", "-t", "a:0,1", "--topic", "b"});
  EXPECT_EQ(seek.group, "g");
  EXPECT_EQ(seek.to, "-5m");
  EXPECT_EQ(seek.topics, (std::vector<std::string>{"a:0,1", "b"}));
  EXPECT_FALSE(seek.execute) << "a dry run unless told otherwise";
  EXPECT_TRUE(command<GroupSeek>({"group", "seek", "g", "--to", "end", "--execute"}).execute);
  EXPECT_EQ(command<GroupSeek>({"group", "seek", "g", "--to", "end", "--dry-run"}).to, "end");
  EXPECT_EQ(parsed({"group", "seek", "g", "--to", "end", "--execute", "--dry-run"}).error(), 2);
  EXPECT_EQ(parsed({"group", "seek", "g"}).error(), 2);
  // An option's values do not swallow what follows.
  EXPECT_EQ(command<GroupLag>({"group", "lag", "-t", "a", "g"}).group, "g");
  EXPECT_EQ(command<GroupDeleteOffsets>({"group", "delete-offsets", "-t", "a", "g"}).topics,
            std::vector<std::string>{"a"});
  EXPECT_EQ(parsed({"group", "delete-offsets", "g"}).error(), 2);
  auto list = command<GroupList>({"group", "list", "--state", "STABLE", "-s", "preparingrebalance"});
  EXPECT_EQ(list.states, (std::vector<std::string>{"Stable", "PreparingRebalance"}));
  EXPECT_EQ(parsed({"group", "list", "--state", "happy"}).error(), 2);
  EXPECT_EQ(command<GroupDelete>({"group", "delete", "a", "b"}).groups, (std::vector<std::string>{"a", "b"}));
}

// Nothing repairs for real: whoever leaves out --dry-run must not believe that something was done.
TEST(Parse, LogRepairIsADryRun) {
  EXPECT_EQ(command<LogRepair>({"log", "repair", "--dry-run", "d"}).paths, std::vector<std::string>{"d"});
  EXPECT_EQ(parsed({"log", "repair", "d"}).error(), 2);
}

// Without -b both find the broker by its data directory, so it matters whether somebody named one.
TEST(Parse, DoctorAndBundleTakeABrokersSettings) {
  auto doctor = command<Doctor>({"doctor", "--data-dir", "d", "--set", "node.id=7", "--no-disk-test"});
  ASSERT_EQ(doctor.inputs.size(), 2u);
  EXPECT_TRUE(doctor.no_disk_test);
  EXPECT_FALSE(doctor.bootstrap_given);
  EXPECT_TRUE(command<Doctor>({"doctor", "-b", "h:1"}).bootstrap_given);
  auto bundle = command<MakeBundle>({"bundle", "--config", "f", "--log-file", "l", "--to", "b.tar.gz", "-b", "h:1"});
  EXPECT_EQ(bundle.properties_file, "f");
  EXPECT_EQ(bundle.log_file, "l");
  EXPECT_EQ(bundle.to, "b.tar.gz");
  EXPECT_TRUE(bundle.bootstrap_given);
  EXPECT_FALSE(command<MakeBundle>({"bundle"}).bootstrap_given);
  EXPECT_TRUE(parsed({"bundle", "--dry-run"})->common.dry_run);
}

TEST(Parse, BenchProduce) {
  auto load = command<BenchProduce>({"bench", "produce", "-t", "t", "-r", "500.5", "--linger",      "5",    "-c", "3",
                                     "-z",    "zstd",    "-a", "1", "-s", "100",   "--batch-bytes", "5000", "-p", "9",
                                     "-i",    "2",       "-d", "60"})
                  .load;
  EXPECT_EQ(load.topic, "t");
  EXPECT_EQ(load.rate, 500.5);
  EXPECT_EQ(load.linger_ms, 5);
  EXPECT_EQ(load.connections, 3u);
  EXPECT_EQ(load.codec, Codec::zstd);
  EXPECT_EQ(load.acks, 1);
  EXPECT_EQ(load.record_bytes, 100u);
  EXPECT_EQ(load.batch_bytes, 5000u);
  EXPECT_EQ(load.partitions, 9);
  EXPECT_EQ(load.in_flight, 2u);
  EXPECT_EQ(load.seconds, 60);
  EXPECT_EQ(load.records, 0u);
  EXPECT_EQ(load.warm_up_seconds, 1);
  EXPECT_EQ(command<BenchProduce>({"bench", "produce"}).load.rate, 0);
  for (auto bad : {"--rate=-1", "--size=0", "--duration=0", "--connections=0", "--linger=-1", "--messages=0"})
    EXPECT_EQ(parsed({"bench", "produce", bad}).error(), 2) << bad;
}

// So many messages are all there is, unless a warm-up is asked for.
TEST(Parse, BenchWarmUp) {
  EXPECT_EQ(command<BenchProduce>({"bench", "produce", "--messages", "7"}).load.warm_up_seconds, 0);
  EXPECT_EQ(command<BenchProduce>({"bench", "produce", "-n", "7", "--warm-up", "2"}).load.warm_up_seconds, 2);
  EXPECT_EQ(command<BenchEndToEnd>({"bench", "e2e", "-n", "7"}).load.warm_up_seconds, 0);
  EXPECT_EQ(command<BenchEndToEnd>({"bench", "e2e"}).load.warm_up_seconds, 1);
  EXPECT_EQ(command<BenchConsume>({"bench", "consume"}).warm_up_seconds, 0);
  EXPECT_EQ(command<BenchConsume>({"bench", "consume", "-d", "5"}).warm_up_seconds, 1);
}

TEST(Parse, BenchGroups) {
  auto groups = command<BenchGroups>(
      {"bench", "groups",       "commit", "-g",         "7",       "-m", "3",  "-t", "t",    "-p",
       "12",    "-c",           "4",      "-i",         "2",       "-d", "60", "-r", "99.5", "--commit-partitions",
       "6",     "--session-ms", "6000",   "--protocol", "consumer"});
  EXPECT_EQ(groups.work, GroupWork::commit);
  EXPECT_TRUE(groups.consumer_protocol);
  EXPECT_EQ(groups.groups, 7u);
  EXPECT_EQ(groups.members, 3u);
  EXPECT_EQ(groups.topic, "t");
  EXPECT_EQ(groups.partitions, 12);
  EXPECT_EQ(groups.connections, 4u);
  EXPECT_EQ(groups.in_flight, 2u);
  EXPECT_EQ(groups.seconds, 60);
  EXPECT_EQ(groups.rate, 99.5);
  EXPECT_EQ(groups.commit_partitions, 6);
  EXPECT_EQ(groups.session_ms, 6000);
  auto plain = command<BenchGroups>({"bench", "groups"});
  EXPECT_EQ(plain.work, GroupWork::heartbeat);
  EXPECT_FALSE(plain.consumer_protocol);
  EXPECT_EQ(plain.warm_up_seconds, 1);
  EXPECT_EQ(command<BenchGroups>({"bench", "groups", "--work", "rebalance", "-n", "5"}).work, GroupWork::rebalance);
  EXPECT_EQ(command<BenchGroups>({"bench", "groups", "join", "-n", "5"}).warm_up_seconds, 0);
  for (auto bad : {"nonsense", "--groups=0", "--members=0", "--protocol=share", "--operations=0", "--rate=-1"})
    EXPECT_EQ(parsed({"bench", "groups", bad}).error(), 2) << bad;
}

TEST(Parse, BenchOfOtherTools) {
  auto produce = command<BenchProduce>({"bench", "produce", "--topic", "t", "--messages", "100", "--threads", "4"});
  EXPECT_EQ(produce.load.records, 100u);
  EXPECT_EQ(produce.load.connections, 4u);
  EXPECT_EQ(command<BenchConsume>({"bench", "consume", "--topic", "t", "--threads", "2"}).connections, 2u);
  EXPECT_EQ(command<BenchEndToEnd>({"bench", "e2e", "--messages", "10"}).load.records, 10u);
  EXPECT_EQ(parsed({"bench", "consume", "--json"})->common.output, OutputFormat::json);
  EXPECT_EQ(parsed({"bench", "e2e", "-o", "yaml"})->common.output, OutputFormat::yaml);
}

TEST(Parse, CommonOptions) {
  auto line = parsed({"topic", "list", "-b", "h:1", "-o", "json", "--timeout-ms", "5"});
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->common.bootstrap, "h:1");
  EXPECT_EQ(line->common.output, OutputFormat::json);
  EXPECT_EQ(line->common.timeout_ms, 5);
  EXPECT_TRUE(line->common.timeout_given);
}

TEST(Parse, NonsenseIsAUsageError) {
  for (std::vector<const char*> words : std::vector<std::vector<const char*>>{{},
                                                                              {"nope"},
                                                                              {"topic"},
                                                                              {"topic", "create"},
                                                                              {"topic", "list", "-o", "xml"},
                                                                              {"pub", "t", "-z", "rar"},
                                                                              {"serve", "--no-such-option", "1"},
                                                                              {"topic", "create", "t", "-p", "0"},
                                                                              {"serve", "--set", "x"}}) {
    auto line = parsed(words);
    ASSERT_FALSE(line.has_value()) << (words.empty() ? "nothing" : words.front());
    EXPECT_EQ(line.error(), 2);
  }
  EXPECT_EQ(parsed({"--help"}).error(), 0);
  EXPECT_EQ(parsed({"pub", "--help"}).error(), 0);
}

TEST(Parse, CompletionScriptsNameTheCommands) {
  auto completion = command<Completion>({"completion", "bash"});
  EXPECT_NE(completion.script.find("'topic create'"), std::string::npos);
  EXPECT_NE(completion.script.find("--bootstrap-server"), std::string::npos);
  EXPECT_NE(completion.script.find("'bench produce'"), std::string::npos);
  EXPECT_NE(completion.script.find("--linger"), std::string::npos);
  EXPECT_NE(completion.script.find("'bench groups'"), std::string::npos);
}

}  // namespace
}  // namespace mr::cli
