// `bundle`: one archive for a bug report, of whatever can be reached. Changes nothing but the archive it writes.
#include "cli/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/version.h"
#include "cli/do.h"
#include "cli/doctor.h"
#include "cli/doctor_facts.h"
#include "cli/redact.h"
#include "cli/session.h"
#include "cli/tar.h"
#include "model/compression.h"
#include "runtime/machine.h"

namespace mr::cli {

namespace {

constexpr std::uint64_t kLogTailBytes = 8u << 20;
constexpr std::size_t kFilesMax = 200'000;

/// "20261122-001530", UTC.
std::string stamp(WallMillis now) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(now)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

/// The settings as far as they hold: what cannot be read or is refused is a gap, and the rest goes on without it.
config::BrokerSettings settings_for(const MakeBundle& command, Bundle& bundle) {
  auto inputs = collect_settings(command.properties_file, command.inputs);
  if (!inputs.ok()) {
    bundle.lacks("settings of --config", inputs.error());
    inputs = collect_settings("", command.inputs);
  }
  std::vector<config::SettingInput> given = inputs.ok() ? *inputs : command.inputs;
  Value::List rows;
  for (const config::SettingInput& input : given)
    rows.push_back(
        Value::Object{{"name", input.name}, {"value", redact_value(input.name, input.value)}, {"where", input.where}});
  bundle.add_json("settings-given.json", "--config, MILLRACE_* and flags", std::move(rows));
  auto settings = config::load_broker_settings(given);
  if (!settings.ok()) {
    bundle.lacks("settings.json", settings.error());
    std::erase_if(given, [](const config::SettingInput& i) { return i.name != "log.dirs"; });
    settings = config::load_broker_settings(given);
    if (!settings.ok()) settings = config::load_broker_settings({});
    return std::move(*settings);
  }
  Value::List all;
  for (const config::Setting& s : settings->settings)
    all.push_back(
        Value::Object{{"name", s.option->rule.name},
                      {"value", s.value ? Value(redact_value(s.option->rule.name, *s.value)) : Value(nullptr)},
                      {"set_by", s.where.empty() ? Value(config::to_string(s.origin)) : Value(s.where)}});
  bundle.add_json("settings.json", "what holds, and where it was set", std::move(all));
  return std::move(*settings);
}

void add_machine(Bundle& bundle) {
  const DescriptorLimits limits = descriptor_limits();
  bundle.add_json("version.json", "this program and machine",
                  Value::Object{{"millrace", kVersion},
                                {"kernel", kernel_name()},
                                {"cores", usable_cores().size()},
                                {"memory_bytes", usable_memory_bytes()},
                                {"open_files_soft", limits.soft},
                                {"open_files_hard", limits.hard},
                                {"container", in_container()}});
}

void add_files(Bundle& bundle, const std::vector<std::string>& directories) {
  std::string lines;
  for (const std::string& directory : directories) {
    auto listing = list_files(directory, kFilesMax);
    if (!listing.ok()) {
      bundle.lacks("files of " + directory, listing.error());
      continue;
    }
    if (listing->cut)
      bundle.lacks("more files of " + directory,
                   Error(Errc::too_large, fmt::format("only the first {} are listed", kFilesMax)));
    for (const std::string& unreadable : listing->unreadable_directories)
      bundle.lacks(fmt::format("files of {}/{}", directory, unreadable), Error(Errc::permission_denied));
    for (const ListedFile& file : listing->files) {
      Value(Value::Object{{"path", directory + "/" + file.path},
                          {"bytes", file.bytes},
                          {"allocated", file.allocated_bytes},
                          {"modified", file.modified},
                          {"usable", file.usable}})
          .json(lines);
      lines.push_back('\n');
    }
  }
  bundle.add("files.ndjson", "names and sizes in log.dirs", std::move(lines));
}

/// From the first whole line on of the last kLogTailBytes.
Result<std::string> tail_of(const std::string& path) {
  MR_TRY(std::unique_ptr<File> file, real_files().open(path, OpenMode::read));
  MR_TRY(std::uint64_t size, file->size());
  const std::uint64_t from = size > kLogTailBytes ? size - kLogTailBytes : 0;
  std::string text(size - from, '\0');
  MR_TRY(std::size_t n, file->read_at({reinterpret_cast<std::byte*>(text.data()), text.size()}, from));
  text.resize(n);
  if (from > 0) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

void add_log(Bundle& bundle, const std::string& path) {
  if (path.empty()) {
    bundle.lacks("log.txt", Error(Errc::not_found, "no --log-file; with systemd: journalctl -u millrace > FILE"));
    return;
  }
  auto text = tail_of(path);
  if (!text.ok()) {
    bundle.lacks("log.txt", text.error());
    return;
  }
  bundle.add("log.txt", fmt::format("the end of {}", path), redact(*text));
}

void gather(const Common& common, const MakeBundle& command, StatusLine& status, Bundle& bundle,
            std::vector<Address> bootstrap) {
  add_machine(bundle);
  const config::BrokerSettings settings = settings_for(command, bundle);
  const std::string& first = settings.config.log_dirs.front();
  DoctorOptions options{.bootstrap = std::move(bootstrap),
                        .disk_test = !common.dry_run && !command.no_disk_test,
                        .patience = Millis(common.timeout_ms)};
  options.now_looking = [&](std::string_view what) { status.show(fmt::format("doctor: {} ...", what)); };
  const Diagnosis diagnosis = diagnose(settings, options);
  bundle.add("doctor.txt", "millrace doctor", to_lines(diagnosis.checks));
  bundle.add_json("doctor.json", "millrace doctor", to_rows(diagnosis.checks));
  auto ready = read_ready_file(first);
  if (ready.ok()) {
    bundle.add("ready.json", first + "/ready.json", ready->text);
  } else {
    bundle.lacks("ready.json", ready.error());
  }
  status.show("asking the broker ...");
  BundleQuestions questions{.http = diagnosis.http, .patience = Millis(common.timeout_ms)};
  if (!options.bootstrap.empty()) {
    questions.bootstrap = options.bootstrap;
  } else if (diagnosis.kafka) {
    questions.bootstrap = {*diagnosis.kafka};
  }
  with_env([&](Env& env) -> Task<void> { return ask_broker(env, bundle, std::move(questions)); });
  status.show("listing files ...");
  add_files(bundle, settings.config.log_dirs);
  add_log(bundle, command.log_file);
}

Result<std::size_t> write_archive(const Bundle& bundle, const std::string& path, const std::string& top,
                                  WallMillis now) {
  TarWriter tar(now);
  tar.add(top + "/manifest.json", manifest_of(bundle, kVersion, now));
  for (const BundlePart& part : bundle.parts) tar.add(top + "/" + part.name, part.content);
  const std::string archive = std::move(tar).finish();
  std::vector<std::byte> packed;
  MR_TRY_VOID(compress(Codec::gzip, as_bytes(archive), packed));
  MR_TRY(std::unique_ptr<File> file, real_files().open(path, OpenMode::create_new));
  Result<void> written = file->write_at(ByteView(packed), 0);
  if (!written.ok()) {
    (void)real_files().remove(path);
    return written.error();
  }
  return packed.size();
}

Value::List part_rows(const Bundle& bundle) {
  Value::List rows;
  for (const BundlePart& part : bundle.parts)
    rows.push_back(Value::Object{{"file", part.name}, {"bytes", part.content.size()}, {"from", part.from}});
  return rows;
}
Value::List gap_rows(const Bundle& bundle) {
  Value::List rows;
  for (const BundleGap& gap : bundle.missing) rows.push_back(Value::Object{{"missing", gap.what}, {"why", gap.why}});
  return rows;
}

void show(const Common& common, const Bundle& bundle, const std::string& path, std::size_t bytes) {
  if (common.output != OutputFormat::table) {
    print(render_one(common.output, {{"archive", common.dry_run ? Value(nullptr) : Value(path)},
                                     {"bytes", common.dry_run ? Value(nullptr) : Value(bytes)},
                                     {"parts", part_rows(bundle)},
                                     {"missing", gap_rows(bundle)}}));
    return;
  }
  print(render_rows(OutputFormat::table, part_rows(bundle)));
  if (!bundle.missing.empty()) print("\n" + render_rows(OutputFormat::table, gap_rows(bundle)));
  if (common.quiet) return;
  say(common.dry_run ? fmt::format("would write {}", path)
                     : fmt::format("wrote {} ({}): look through it before you send it; it names topics, groups, "
                                   "clients and hosts, and holds no records",
                                   path, human_bytes(static_cast<double>(bytes))));
}

}  // namespace

void Bundle::add_json(std::string name, std::string from, const Value& value) {
  std::string text;
  value.pretty_json(text, 0);
  text.push_back('\n');
  add(std::move(name), std::move(from), std::move(text));
}

void Bundle::lacks(std::string what, const Error& why) {
  missing.push_back({std::move(what), why.detail().empty() ? why.message() : why.detail()});
}

std::string manifest_of(const Bundle& bundle, std::string_view version, WallMillis now) {
  std::string text;
  Value(Value::Object{{"made_by", fmt::format("millrace {}", version)},
                      {"made_at", stamp(now)},
                      {"parts", part_rows(bundle)},
                      {"missing", gap_rows(bundle)}})
      .pretty_json(text, 0);
  return text + "\n";
}

int run(const Common& common, const MakeBundle& command) {
  std::vector<Address> bootstrap;
  if (command.bootstrap_given) {
    auto parsed = parse_bootstrap(common.bootstrap);
    if (!parsed.ok()) return report(parsed.error());
    bootstrap = std::move(*parsed);
  }
  const WallMillis now = real_clock().wall();
  const std::string top = "millrace-bundle-" + stamp(now);
  const std::string path = command.to.empty() ? top + ".tar.gz" : command.to;
  if (auto there = real_files().exists(path); there.ok() && *there)
    return report(Error(Errc::conflict, fmt::format("{} is there already; --to chooses another name", path)));
  Bundle bundle;
  StatusLine status(!common.quiet);
  gather(common, command, status, bundle, std::move(bootstrap));
  std::size_t bytes = 0;
  if (!common.dry_run) {
    status.show("packing ...");
    auto written = write_archive(bundle, path, top, now);
    status.clear();
    if (!written.ok())
      return report(Error(Errc::io_error, fmt::format("the archive cannot be written: {}", written.error().message())));
    bytes = *written;
  }
  status.clear();
  show(common, bundle, path, bytes);
  return kOk;
}

}  // namespace mr::cli
