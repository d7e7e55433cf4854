#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace mr::cli {

/// One command with its long options and its subcommands.
struct CommandTree {
  std::string name;
  std::string help;
  std::vector<std::string> options;
  std::string names;  ///< of what its arguments name: "topic", "group" or nothing; the broker is asked for them
  std::vector<CommandTree> commands;
};

/// A completion script for bash, zsh or fish; empty for another shell.
std::string completion_script(std::string_view shell, const CommandTree& root);

}  // namespace mr::cli
