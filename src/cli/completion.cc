#include "cli/completion.h"

#include <fmt/format.h>

namespace mr::cli {

namespace {

struct Path {
  std::string words;  ///< "topic create"
  const CommandTree* command;
};

void collect(const CommandTree& at, const std::string& words, std::vector<Path>& into) {
  into.push_back({words, &at});
  for (const CommandTree& sub : at.commands) collect(sub, words.empty() ? sub.name : words + " " + sub.name, into);
}

std::string joined(const CommandTree& command) {
  std::string words;
  for (const CommandTree& sub : command.commands) words += sub.name + " ";
  for (const std::string& option : command.options) words += option + " ";
  if (!words.empty()) words.pop_back();
  return words;
}

/// In single quotes of a shell.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string bash(const std::vector<Path>& paths) {
  std::string cases;
  for (const Path& path : paths)
    cases += fmt::format("    {}) words={} ;;\n", quoted(path.words), quoted(joined(*path.command)));
  return fmt::format(
      "# bash completion of millrace: source <(millrace completion bash)\n"
      "_millrace() {{\n"
      "  local path= word words=\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case $word in -*) ;; *) case \" {} \" in *\" ${{path:+$path }}$word \"*) path=\"${{path:+$path }}$word\" ;; "
      "esac ;; esac\n"
      "  done\n"
      "  case $path in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -F _millrace millrace\n",
      [&] {
        std::string all;
        for (const Path& path : paths) all += path.words + " ";
        return all;
      }(),
      cases);
}

std::string zsh(const std::vector<Path>& paths) {
  std::string cases;
  for (const Path& path : paths)
    cases += fmt::format("    {}) choices=({}) ;;\n", quoted(path.words), joined(*path.command));
  std::string known;
  for (const Path& path : paths) known += path.words + "|";
  return fmt::format(
      "#compdef millrace\n"
      "# zsh completion of millrace: source <(millrace completion zsh)\n"
      "_millrace() {{\n"
      "  local at= word\n"
      "  local -a choices\n"
      "  for word in \"${{words[@]:1:$((CURRENT-2))}}\"; do\n"
      "    [[ $word == -* ]] && continue\n"
      "    [[ {} == *\"|${{at:+$at }}$word|\"* ]] && at=\"${{at:+$at }}$word\"\n"
      "  done\n"
      "  case $at in\n{}  esac\n"
      "  compadd -- $choices || _files\n"
      "}}\n"
      "compdef _millrace millrace\n",
      quoted("|" + known), cases);
}

std::string fish(const std::vector<Path>& paths) {
  std::string lines = "# fish completion of millrace: millrace completion fish | source\n";
  for (const Path& path : paths) {
    std::string condition;
    if (path.words.empty()) {
      condition = "__fish_use_subcommand";
    } else {
      std::string words;
      for (char c : path.words)
        words += c == ' ' ? std::string("; and __fish_seen_subcommand_from ") : std::string(1, c);
      condition = "__fish_seen_subcommand_from " + words;
    }
    for (const CommandTree& sub : path.command->commands)
      lines += fmt::format("complete -c millrace -n {} -a {} -d {}\n", quoted(condition), sub.name, quoted(sub.help));
    for (const std::string& option : path.command->options)
      if (option.starts_with("--"))
        lines += fmt::format("complete -c millrace -n {} -l {}\n", quoted(condition), option.substr(2));
  }
  return lines;
}

}  // namespace

std::string completion_script(std::string_view shell, const CommandTree& root) {
  std::vector<Path> paths;
  collect(root, "", paths);
  if (shell == "bash") return bash(paths);
  if (shell == "zsh") return zsh(paths);
  if (shell == "fish") return fish(paths);
  return {};
}

}  // namespace mr::cli
