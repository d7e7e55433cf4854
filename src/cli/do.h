#pragma once
#include "cli/commands.h"

/// One function per command; the value is the exit code.
namespace mr::cli {

int run(const Common& common, const TopicCreate& command);
int run(const Common& common, const TopicList& command);
int run(const Common& common, const TopicDescribe& command);
int run(const Common& common, const TopicAlter& command);
int run(const Common& common, const TopicDelete& command);
int run(const Common& common, const TopicAddPartitions& command);
int run(const Common& common, const TopicDeleteRecords& command);
int run(const Common& common, const GroupList& command);
int run(const Common& common, const GroupDescribe& command);
int run(const Common& common, const GroupMembers& command);
int run(const Common& common, const GroupLag& command);
int run(const Common& common, const GroupSeek& command);
int run(const Common& common, const GroupDelete& command);
int run(const Common& common, const GroupDeleteOffsets& command);
int run(const Common& common, const Pub& command);
int run(const Common& common, const Sub& command);
int run(const Common& common, const LogVerify& command);
int run(const Common& common, const LogRepair& command);
int run(const Common& common, const LogDump& command);
int run(const Common& common, const ConfigExplain& command);
int run(const Common& common, const ConfigDescribe& command);
int run(const Common& common, const ConfigAlter& command);
int run(const Common& common, const Doctor& command);
int run(const Common& common, const MakeBundle& command);
int run(const Common& common, const BenchProduce& command);
int run(const Common& common, const BenchConsume& command);
int run(const Common& common, const BenchEndToEnd& command);
int run(const Common& common, const BenchGroups& command);
int run(const Common& common, const Version& command);
int run(const Common& common, const Completion& command);

/// Settings from a file (when given), the environment and flags, weakest first. Errors: invalid_config, not_found.
Result<std::vector<config::SettingInput>> collect_settings(const std::string& properties_file,
                                                           const std::vector<config::SettingInput>& flags);

}  // namespace mr::cli
