// What includes CLI11 takes 11 s to compile: parse*.cc do, and nothing else.
#include "cli/parse.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/version.h"
#include "cli/completion.h"
#include "cli/parse_bench.h"
#include "runtime/machine.h"

namespace mr::cli {

namespace {

const std::map<std::string, std::string> kGroupStates = {{"empty", "Empty"},
                                                         {"preparingrebalance", "PreparingRebalance"},
                                                         {"completingrebalance", "CompletingRebalance"},
                                                         {"stable", "Stable"},
                                                         {"dead", "Dead"}};

/// Keeps the order in which the settings were given: the last wins.
void add_settings(CLI::App& app, std::vector<config::SettingInput>& inputs, std::string& file) {
  app.add_option("--config", file, "A server.properties file with settings; flags and MILLRACE_* win over it.")
      ->type_name("FILE");
  app.add_option_function<std::vector<std::string>>(
         "--set",
         [&inputs](const std::vector<std::string>& all) {
           for (const std::string& text : all) {
             auto input = config::parse_assignment(text);
             if (!input.ok()) throw CLI::ValidationError(input.error().detail());
             inputs.push_back(std::move(*input));
           }
         },
         "One setting by Kafka's name; may be repeated.")
      ->type_name("NAME=VALUE");
  for (const auto& option : config::broker_options()) {
    std::string names = option.flag();
    if (!option.short_flag.empty()) names = std::string(option.short_flag) + "," + names;
    auto* added = app.add_option_function<std::string>(
        names,
        [&inputs, &option](const std::string& value) {
          std::string shown = option.short_flag.empty() ? option.flag() : std::string(option.short_flag);
          inputs.push_back({config::Origin::flag, shown, std::string(option.rule.name), value});
        },
        std::string(option.help) + (option.default_text ? " [" + *option.default_text + "]" : ""));
    added->type_name("")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    // The long tail is in docs/config.md and `config explain`: --help stays one screen.
    if (option.short_flag.empty()) added->group("");
  }
}

struct Parser : ParserBase {
  CLI::App app{"Millrace: a log that speaks Kafka's protocol. Data goes to standard output, talk to standard error.",
               "millrace"};
  Serve serve, dev;
  TopicCreate create;
  TopicList list;
  TopicDescribe describe;
  TopicAlter alter;
  TopicDelete remove;
  TopicAddPartitions add_partitions;
  TopicDeleteRecords delete_records;
  GroupList group_list;
  GroupDescribe group_describe;
  GroupMembers group_members;
  GroupLag group_lag;
  GroupSeek group_seek;
  GroupDelete group_delete;
  GroupDeleteOffsets group_delete_offsets;
  Pub pub;
  Sub sub, tail;
  LogVerify verify;
  LogRepair repair;
  LogDump dump;
  ConfigExplain explain;
  ConfigDescribe config_describe;
  ConfigAlter config_alter;
  Doctor doctor;
  MakeBundle bundle;
  BenchParser bench{*this};
  Completion completion;

  void edits(CLI::App* app, std::vector<std::string>& set, std::vector<std::string>& unset) {
    app->add_option("--set", set, "A setting; may be repeated.")->type_name("NAME=VALUE")->allow_extra_args(false);
    app->add_option("--unset", unset, "Back to what holds without it; may be repeated.")
        ->type_name("NAME")
        ->allow_extra_args(false);
    dry(app);
  }

  void add_broker_commands() {
    auto* s = app.add_subcommand("serve", "Run a broker until SIGTERM or Ctrl-C.");
    add_settings(*s, serve.inputs, serve.properties_file);
    s->add_flag("--hints", serve.hints, "Print lines for a first message once it answers.");
    s->footer(
        "Every option of docs/config.md is a flag too (--log-segment-bytes 128MiB) and a MILLRACE_* variable.\n"
        "Addresses in use are in DIR/ready.json once it answers.\n\nExamples:\n"
        "  millrace serve --data-dir data\n"
        "  millrace serve --data-dir data --kafka 0.0.0.0:9092 --set advertised.listeners=broker1:9092\n"
        "  millrace serve --config server.properties --http 127.0.0.1:0");
    runs(s, serve);
    dev.dev = true;
    auto* d = app.add_subcommand("dev", "Run a throw-away broker: temporary data, free ports, gone at the end.");
    add_settings(*d, dev.inputs, dev.properties_file);
    d->add_flag("!--no-hints", dev.hints, "Do not print lines for a first message.");
    dev.hints = true;
    d->footer("Examples:\n  millrace dev\n  millrace dev --kafka 127.0.0.1:9092");
    runs(d, dev);
  }

  void add_topic_commands() {
    auto* topic = app.add_subcommand("topic", "Create, list, describe, alter, grow, trim and delete topics.");
    topic->require_subcommand(1);
    auto* c = connected(topic->add_subcommand("create", "Create a topic."));
    c->add_option("NAME", create.name, "1 to 249 of a-z A-Z 0-9 . _ -")->required();
    c->add_option("-p,--partitions", create.partitions, "Partitions; unset: the broker's num.partitions.")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    c->add_option("-r,--replication-factor", create.replication_factor, "Replicas; unset: the broker's default.")
        ->check(CLI::Range(1, 32'767))
        ->type_name("N");
    c->add_option("-c,--config", create.configs, "A topic config; may be repeated.")->type_name("NAME=VALUE");
    c->add_flag("--if-not-exists", create.if_not_exists, "An existing topic is no error.");
    dry(c);
    c->footer(
        "Examples:\n  millrace topic create orders -p 6\n"
        "  millrace topic create audit -c retention.ms=-1 -c cleanup.policy=compact --dry-run");
    runs(c, create);
    auto* l = connected(topic->add_subcommand("list", "List topics."));
    l->add_flag("--internal", list.internal, "Internal ones too.");
    l->add_flag("--names", list.names, "Only the names, one per line.");
    l->footer("Examples:\n  millrace topic list\n  millrace topic list -o json");
    runs(l, list);
    auto* d = connected(topic->add_subcommand("describe", "Partitions, offsets and settings of a topic."));
    d->add_option("TOPIC", describe.name, "The topic.")->required();
    d->footer("Examples:\n  millrace topic describe orders\n  millrace topic describe orders -o yaml");
    runs(d, describe);
    auto* a = connected(topic->add_subcommand("alter", "Change settings of a topic; shows the difference."));
    a->add_option("TOPIC", alter.name, "The topic.")->required();
    edits(a, alter.set, alter.unset);
    a->footer(
        "Examples:\n  millrace topic alter orders --set retention.ms=86400000\n"
        "  millrace topic alter audit --set cleanup.policy=compact --unset retention.ms --dry-run");
    runs(a, alter);
    auto* r = connected(topic->add_subcommand("delete", "Delete a topic and its data."));
    r->add_option("TOPIC", remove.name, "The topic.")->required();
    r->add_flag("--if-exists", remove.if_exists, "A missing topic is no error.");
    dry(r);
    r->footer("Examples:\n  millrace topic delete orders\n  millrace topic delete orders --dry-run");
    runs(r, remove);
    add_topic_changes(*topic);
  }

  void add_topic_changes(CLI::App& topic) {
    auto* a = connected(topic.add_subcommand("add-partitions", "Give a topic more partitions."));
    a->add_option("TOPIC", add_partitions.name, "The topic.")->required();
    a->add_option("N", add_partitions.more, "How many more.")->required()->check(CLI::Range(1, 1'000'000));
    dry(a);
    a->footer(
        "Records with a key go to other partitions from then on: the order of a key's records holds only among those\n"
        "written before, and among those written after.\n\n"
        "Examples:\n  millrace topic add-partitions orders 3\n  millrace topic add-partitions orders 3 --dry-run");
    runs(a, add_partitions);
    auto* r = connected(topic.add_subcommand("delete-records", "Delete the oldest records of a topic."));
    r->add_option("TOPIC", delete_records.name, "The topic.")->required();
    r->add_option("--before", delete_records.before,
                  "Delete what lies before an offset (of one partition), @TIME or end.")
        ->required()
        ->type_name("OFFSET|@TIME|end");
    r->add_option("-p,--partition", delete_records.partitions, "Only this partition; may be repeated. [all]")
        ->check(CLI::Range(0, 1'000'000))
        ->type_name("P")
        ->allow_extra_args(false);
    dry(r);
    r->footer(
        "TIME is milliseconds since 1970, or 2026-01-31, or 2026-01-31T08:30:00Z: the first record at or after it "
        "stays.\n"
        "What is deleted cannot be brought back. Disk space comes back segment by segment.\n\n"
        "Examples:\n  millrace topic delete-records orders --before @2026-01-31 --dry-run\n"
        "  millrace topic delete-records orders --before 42 --partition 0\n"
        "  millrace topic delete-records orders --before end");
    runs(r, delete_records);
  }

  static void topics(CLI::App* app, std::vector<std::string>& into, const std::string& help) {
    app->add_option("-t,--topic", into, help)->type_name("TOPIC[:P,P]")->allow_extra_args(false);
  }

  void add_group_commands() {
    auto* group = app.add_subcommand("group", "Look at consumer groups and move them.");
    group->require_subcommand(1);
    auto* l = connected(group->add_subcommand("list", "List groups."));
    l->add_option_function<std::vector<std::string>>(
         "-s,--state",
         [this](const std::vector<std::string>& all) {
           for (const std::string& text : all) {
             auto at = kGroupStates.find(CLI::detail::to_lower(text));
             if (at == kGroupStates.end())
               throw CLI::ValidationError("--state",
                                          fmt::format("'{}' is not one of: Stable, Empty, PreparingRebalance, "
                                                      "CompletingRebalance, Dead",
                                                      text));
             group_list.states.push_back(at->second);
           }
         },
         "Only groups in this state (Stable, Empty, ...); may be repeated.")
        ->type_name("STATE")
        ->allow_extra_args(false);
    l->add_flag("--names", group_list.names, "Only the names, one per line.");
    l->footer("Examples:\n  millrace group list\n  millrace group list --state Stable -o json");
    runs(l, group_list);
    auto* d = connected(group->add_subcommand("describe", "State, offsets, lag and owners of a group's partitions."));
    d->add_option("GROUP", group_describe.group, "The group.")->required();
    d->footer("Examples:\n  millrace group describe billing\n  millrace group describe billing -o yaml");
    runs(d, group_describe);
    auto* m = connected(group->add_subcommand("members", "Members of a group and what each was assigned."));
    m->add_option("GROUP", group_members.group, "The group.")->required();
    m->footer("Examples:\n  millrace group members billing\n  millrace group members billing -o json");
    runs(m, group_members);
    auto* g = connected(group->add_subcommand("lag", "How far a group is behind the ends of its partitions."));
    g->add_option("GROUP", group_lag.group, "The group.")->required();
    topics(g, group_lag.topics, "Only this topic or these partitions of it; may be repeated.");
    g->add_flag("-w,--watch", group_lag.watch, "Look again and again, with rates and advice; Ctrl-C ends it.");
    g->add_option("--interval", group_lag.interval_ms, "Milliseconds between two looks; with --watch.")
        ->check(CLI::Range(std::int64_t{100}, std::int64_t{3'600'000}));
    g->add_option("-n,--looks", group_lag.looks, "End after so many; with --watch.");
    g->footer(
        "Examples:\n  millrace group lag billing\n  millrace group lag billing -t orders -o json > before.json\n"
        "  millrace group lag billing --watch");
    runs(g, group_lag);
    add_group_changes(*group);
  }

  void add_group_changes(CLI::App& group) {
    auto* s = connected(group.add_subcommand("seek", "Move a group's offsets; shows the difference unless --execute."));
    s->add_option("GROUP", group_seek.group, "The group; its consumers must be stopped.")->required();
    s->add_option("--to", group_seek.to, "start, end, @TIME, -5m (ago), offset:N, group:OTHER or file:PATH; see below.")
        ->required()
        ->type_name("WHERE");
    topics(s, group_seek.topics, "Only this topic or these partitions of it; may be repeated. [all with offsets]");
    auto* execute = s->add_flag("--execute", group_seek.execute, "Do it. Without this nothing is changed.");
    s->add_flag("--dry-run", line.common.dry_run, "Show the difference, change nothing: the default.")
        ->excludes(execute);
    s->footer(
        "WHERE:\n  start, end    the first offset there is; behind the last\n"
        "  @TIME         the first record at or after it: ms since 1970 or 2026-01-31T08:30:00Z\n"
        "  -5m           the first record of the last 5 minutes; units ms s m h d w, also -1h30m\n"
        "  offset:N      this offset\n  group:OTHER   where OTHER stands\n"
        "  file:PATH     lines TOPIC,PARTITION,OFFSET as kafka-consumer-groups --export writes them, or the JSON\n"
        "                that group lag prints\n"
        "An offset that a partition does not have becomes the nearest one, and a note says so.\n\nExamples:\n"
        "  millrace group seek billing --to start -t orders\n"
        "  millrace group seek billing --to @2026-01-01T00:00:00Z --execute\n"
        "  millrace group seek billing --to file:before.json --execute");
    runs(s, group_seek);
    auto* r = connected(group.add_subcommand("delete", "Delete groups and their offsets."));
    r->add_option("GROUP", group_delete.groups, "Groups without members.")->required();
    r->add_flag("--if-exists", group_delete.if_exists, "A missing group is no error.");
    dry(r);
    r->footer("Examples:\n  millrace group delete billing\n  millrace group delete old-1 old-2 --dry-run");
    runs(r, group_delete);
    auto* o =
        connected(group.add_subcommand("delete-offsets", "Delete a group's offsets of topics it no longer reads."));
    o->add_option("GROUP", group_delete_offsets.group, "The group.")->required();
    topics(o, group_delete_offsets.topics, "The topic, or partitions of it; may be repeated.");
    o->get_option("--topic")->required();
    dry(o);
    o->footer(
        "Examples:\n  millrace group delete-offsets billing -t orders\n"
        "  millrace group delete-offsets billing -t orders:0,3 --dry-run");
    runs(o, group_delete_offsets);
  }

  void add_pub() {
    auto* p = connected(app.add_subcommand("pub", "Publish: an argument, or lines of standard input or a file."));
    p->add_option("TOPIC", pub.topic, "Made when missing, if the broker allows.")->required();
    p->add_option("VALUE", pub.value, "One record; without it each line is one.");
    p->add_option("-f,--file", pub.file, "Lines of this file instead of standard input.")->type_name("FILE");
    p->add_option("-k,--key", pub.key, "Key of all records; decides the partition as Java clients do.");
    p->add_option("-K,--key-separator", pub.key_separator, "Lines are KEY, this, VALUE.")->type_name("TEXT");
    p->add_option("-H,--header", pub.headers, "A header of all records; may be repeated.")->type_name("NAME=VALUE");
    p->add_option("-p,--partition", pub.partition, "Straight to this partition.")
        ->check(CLI::Range(0, 1'000'000))
        ->type_name("N");
    auto* json = p->add_flag(
        "-J,--json", pub.json,
        "Lines are JSON objects with value, key, headers, partition, timestamp, as sub -o ndjson prints them.");
    json->excludes(p->get_option("--key-separator"))->excludes(p->get_option("VALUE"));
    p->add_option("--rate", pub.rate, "At most so many records per second.")
        ->check(CLI::Range(0.001, 1e9))
        ->type_name("N");
    choice(p, "-z,--compression", pub.codec, kCodecs, "none, gzip, snappy, lz4 or zstd.")->type_name("CODEC");
    choice(p, "-a,--acks", pub.acks, kAcks, "all: on disk (default); 1: appended; 0: no answer.")->type_name("ACKS");
    auto* n = p->add_option("-n,--count", pub.count, "Of VALUE: so many copies. Of lines: at most so many.");
    p->add_flag("--tombstone", pub.tombstone, "A null value: deletes the key on a compacted topic.");
    dry(p);
    p->footer(
        "Examples:\n  millrace pub hello \"first message\"\n  seq 1000000 | millrace pub numbers -z lz4\n"
        "  millrace pub orders -K : -f orders.txt\n  millrace sub orders --from start -e -o ndjson | millrace pub copy "
        "--json\n  millrace pub load \"$(head -c 1024 /dev/zero | tr '\\0' x)\" -n "
        "100000");
    p->callback([this, n] {
      pub.count_given = n->count() > 0;
      line.command = std::move(pub);
    });
  }

  void add_sub() {
    auto* s = connected(app.add_subcommand("sub", "Print records of topics and follow them."));
    s->add_option("TOPIC", sub.topics, "The topic, or several.")->required();
    s->add_option("-p,--partition", sub.partitions, "Only these partitions; may be repeated.")
        ->type_name("N")
        ->allow_extra_args(false);
    s->add_option("-s,--from", sub.from,
                  "start, end, an OFFSET, -N for the last N, -5m (ago), or @TIME (ms since 1970 or ISO 8601).")
        ->capture_default_str()
        ->type_name("WHERE");
    s->add_option("-n,--count", sub.count, "Stop after this many records.");
    s->add_option(
         "--format", sub.format,
         "printf-like: %t topic %p partition %o offset %k key %s value %S size %T time (ms) %h headers %% \\n \\t.")
        ->type_name("TEXT");
    choose_records(s, sub);
    s->footer(
        "Examples:\n  millrace sub hello --from start\n  millrace sub orders -n 10 -o ndjson\n"
        "  millrace sub orders --from -1h -e --where 'key=order-7'\n"
        "  millrace sub orders --from @2026-01-01T00:00:00Z -e --format '%o %k: %s\\n'");
    runs(s, sub);
    tail.readable = true;
    auto* t = connected(app.add_subcommand("tail", "Follow topics, a readable line per record."));
    t->add_option("TOPIC", tail.topics, "The topic, or several.")->required();
    t->add_option_function<std::uint64_t>(
         "-n,--lines", [this](std::uint64_t n) { tail.from = n == 0 ? "end" : "-" + std::to_string(n); },
         "Begin with the last N records of each partition.")
        ->type_name("N")
        ->default_str("10");
    tail.from = "-10";
    choose_records(t, tail);
    t->footer(
        "Examples:\n  millrace tail orders payments\n  millrace tail orders -n 0 --where 'value~\"failed\"'\n"
        "  millrace tail orders -n 100 -e");
    runs(t, tail);
  }

  static void choose_records(CLI::App* app, Sub& command) {
    app->add_flag("-e,--exit", command.exit_at_end, "Stop at what is the end now, instead of following.");
    app->add_option(
           "-w,--where", command.where,
           "Only records whose key, value or header.NAME is (=), is not (!=), contains (~) or does not contain "
           "(!~) TEXT; may be repeated: all must hold.")
        ->type_name("FIELD=TEXT")
        ->allow_extra_args(false);
    app->add_flag("--read-committed", command.read_committed, "Only records of committed transactions.");
  }

  void add_log_commands() {
    auto* log = app.add_subcommand("log", "Look at log directories on disk; needs no broker.");
    log->require_subcommand(1);
    auto* v = formatted(log->add_subcommand("verify", "Check every batch, index and record; changes nothing."));
    v->add_option("PATH", verify.paths, "Data directories or partition directories.")->required();
    v->add_flag("--skip-records", verify.skip_records, "Do not inflate and walk records: faster.");
    v->footer(
        "Exit code 1 when something is wrong. A directory in use may look torn at its end.\n\nExamples:\n  millrace "
        "log verify data\n"
        "  millrace log verify data/orders-0 -o json");
    runs(v, verify);
    auto* r = formatted(log->add_subcommand("repair", "Say what could be done about what verify finds."));
    r->add_option("PATH", repair.paths, "Data directories or partition directories.")->required();
    r->add_flag("--dry-run", repair.dry_run, "Change nothing. The only way to run this: see below.")->required();
    r->footer(
        "Only --dry-run is offered. A start of the broker mends by itself whatever can be mended without losing\n"
        "anything; for the rest this names the file and what to do by hand. Exit code 1 when records are lost.\n\n"
        "Examples:\n  millrace log repair --dry-run data\n  millrace log repair --dry-run data/orders-0 -o json");
    runs(r, repair);
    auto* d = formatted(log->add_subcommand("dump", "Show the batches of a segment, or what a side file says."));
    d->add_option("FILE", dump.path, "A .log, .index, .timeindex, .snapshot, checkpoint or partition.metadata file.")
        ->required();
    d->add_flag("-r,--records", dump.records, "Each record too.");
    d->add_option("-n,--count", dump.count, "Stop after this many batches.");
    d->footer(
        "Examples:\n  millrace log dump data/orders-0/00000000000000000000.log\n"
        "  millrace log dump -r data/orders-0/00000000000000000000.log -o ndjson");
    runs(d, dump);
  }

  void add_doctor() {
    auto* d =
        connected(app.add_subcommand("doctor", "Look for what is wrong with this machine and broker; says the fix."));
    add_settings(*d, doctor.inputs, doctor.properties_file);
    d->add_flag("--no-disk-test", doctor.no_disk_test, "Leave out the second of small synced writes per directory.");
    d->footer(
        "Give it the settings of the broker: --data-dir, --config, --set as for serve. Without -b it asks the broker\n"
        "that has the data directory, or whoever listens where one would. Nothing is changed. Exit code 1 when\n"
        "something is bad.\n\nExamples:\n  millrace doctor --data-dir data\n"
        "  millrace doctor --config server.properties -o json\n  millrace doctor -b broker1:9092 --no-disk-test");
    d->callback([this, d] {
      doctor.bootstrap_given = d->get_option("--bootstrap-server")->count() > 0;
      line.command = std::move(doctor);
    });
  }

  void add_bundle() {
    auto* b = connected(
        app.add_subcommand("bundle", "One archive for a bug report: settings, state and metrics, no records."));
    add_settings(*b, bundle.inputs, bundle.properties_file);
    b->add_option("--log-file", bundle.log_file, "The broker's log; its end goes in.")->type_name("FILE");
    b->add_option("--to", bundle.to, "The archive; must not be there. [millrace-bundle-TIME.tar.gz]")
        ->type_name("FILE");
    b->add_flag("--no-disk-test", bundle.no_disk_test, "Leave out the second of small synced writes per directory.");
    dry(b);
    b->footer(
        "Takes what it can reach, and says in its manifest what is missing and why. Secrets are taken out of settings\n"
        "and log; names of topics, groups, clients and hosts are in it.\n\nExamples:\n"
        "  millrace bundle --data-dir data --log-file broker.log\n"
        "  millrace bundle --config server.properties --to /tmp/bundle.tar.gz\n  millrace bundle --dry-run");
    b->callback([this, b] {
      bundle.bootstrap_given = b->get_option("--bootstrap-server")->count() > 0;
      line.command = std::move(bundle);
    });
  }

  void add_the_rest() {
    auto* config = app.add_subcommand("config", "Settings of brokers.");
    config->require_subcommand(1);
    auto* e =
        formatted(config->add_subcommand("explain", "What a setting means, its value here and where it was made."));
    e->add_option("NAME", explain.name, "One setting; without it those that are not defaults.");
    e->add_flag("--all", explain.all, "All settings.");
    add_settings(*e, explain.inputs, explain.properties_file);
    e->footer(
        "Examples:\n  millrace config explain log.segment.bytes\n"
        "  millrace config explain --config server.properties\n  millrace config explain --all -o json");
    runs(e, explain);
    auto* d = connected(config->add_subcommand("describe", "Settings of a running broker."));
    d->add_option("NAME", config_describe.name, "One setting; without it those that are not defaults.");
    d->add_flag("--all", config_describe.all, "All settings.");
    auto* of = d->add_option("--broker", config_describe.broker, "Which broker. [the first]")->type_name("ID");
    auto* all = d->add_flag("--cluster", config_describe.cluster, "Only what was set for all brokers.")->excludes(of);
    d->add_option("--group", config_describe.group, "Of this consumer group.")->excludes(of)->excludes(all);
    d->footer(
        "Examples:\n  millrace config describe\n  millrace config describe log.retention.ms\n"
        "  millrace config describe --broker 1 --all -o json\n  millrace config describe --group billing --all");
    runs(d, config_describe);
    auto* a = connected(config->add_subcommand("alter", "Change settings of running brokers; shows the difference."));
    edits(a, config_alter.set, config_alter.unset);
    auto* only = a->add_option("--broker", config_alter.broker, "Only of this broker. [all]")->type_name("ID");
    a->add_option("--group", config_alter.group, "Of this consumer group.")->excludes(only);
    a->footer(
        "What is set here holds at once, over files and flags, and stays over restarts. docs/config.md says which\n"
        "settings are live; others need a restart.\n\n"
        "Examples:\n  millrace config alter --set log.retention.ms=86400000 --dry-run\n"
        "  millrace config alter --broker 1 --set max.connections=5000 --unset message.max.bytes\n"
        "  millrace config alter --group billing --set consumer.session.timeout.ms=60000");
    runs(a, config_alter);
    auto* v = formatted(app.add_subcommand("version", "The version."));
    v->callback([this] { line.command = Version{}; });
    auto* c = app.add_subcommand("completion", "A completion script for a shell.");
    c->add_option("SHELL", completion.shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    c->footer("Examples:\n  source <(millrace completion bash)\n  millrace completion fish | source");
    c->callback([this] {
      completion.script = completion_script(completion.shell, tree(app));
      line.command = std::move(completion);
    });
  }

  static CommandTree tree(const CLI::App& at) {
    CommandTree node{.name = at.get_name(), .help = at.get_description()};
    for (const CLI::Option* option : at.get_options()) {
      if (option->get_name() == "TOPIC") node.names = "topic";
      if (option->get_name() == "GROUP") node.names = "group";
      for (const std::string& name : option->get_lnames())
        if (!option->get_group().empty()) node.options.push_back("--" + name);
    }
    for (const CLI::App* sub : at.get_subcommands([](const CLI::App*) { return true; }))
      node.commands.push_back(tree(*sub));
    return node;
  }
};

}  // namespace

std::expected<CommandLine, int> parse(int count, const char* const* arguments) {
  Parser parser;
  CLI::App& app = parser.app;
  app.require_subcommand(1);
  app.set_version_flag("--version", [] { return std::string(kVersion); });
  app.get_formatter()->column_width(34);
  app.footer(
      "Exit codes: 0 ok, 1 broker or data, 2 usage, 3 cannot connect, 4 authorization, 5 conflict, 124 timeout.\n\n"
      "A first message:\n  millrace dev --kafka 127.0.0.1:9092 &\n  millrace pub hello \"first message\"\n"
      "  millrace sub hello --from start -n 1");
  parser.add_broker_commands();
  parser.add_topic_commands();
  parser.add_group_commands();
  parser.add_pub();
  parser.add_sub();
  parser.add_log_commands();
  parser.bench.add(app);
  parser.add_doctor();
  parser.add_bundle();
  parser.add_the_rest();
  try {
    app.parse(count, arguments);
  } catch (const CLI::Success& e) {  // help, version
    return std::unexpected(app.exit(e));
  } catch (const CLI::ParseError& e) {
    std::string text = fmt::format("millrace: {}\n", e.what());
    std::string command = "millrace";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      command += " " + at->get_name();
    }
    text += fmt::format("Try: {} --help\n", command);
    (void)write_descriptor(2, as_bytes(text));
    return std::unexpected(2);
  }
  return std::move(parser.line);
}

}  // namespace mr::cli
