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

/// Asks the broker that the command line names; a quiet second at most.
constexpr std::string_view kAsk = R"(
_millrace_names() {
  local program=$1 kind=$2 word server=
  shift 2
  for word in "$@"; do
    case $server in next) server=$word ;; esac
    case $word in -b|--bootstrap-server) server=next ;; esac
  done
  case $server in ''|next) ;; *) set -- -b "$server" ;; esac
  [ $# -eq 2 ] && [ "$1" = -b ] || set --
  "$program" "$kind" list --names --timeout-ms 1000 "$@" 2>/dev/null | grep -x '[A-Za-z0-9._-]*'
}
)";

std::string bash(const std::vector<Path>& paths) {
  std::string known, cases;
  for (const Path& path : paths) {
    known += path.words + "|";
    cases += fmt::format("    {}) words={} names={} ;;\n", quoted(path.words), quoted(joined(*path.command)),
                         quoted(path.command->names));
  }
  return fmt::format(
      "# bash completion of millrace: source <(millrace completion bash){}"
      "_millrace() {{\n"
      "  local path= word words= names= now=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case $word in -*) continue ;; esac\n"
      "    case {} in *\"|${{path:+$path }}$word|\"*) path=\"${{path:+$path }}$word\" ;; esac\n"
      "  done\n"
      "  case $path in\n{}  esac\n"
      "  case $before in -t|--topic) words= names=topic ;; esac\n"
      "  case $now in -*) names= ;; esac\n"
      "  [ -z \"$names\" ] || words+=\" $(_millrace_names \"${{COMP_WORDS[0]}}\" \"$names\" $COMP_LINE)\"\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
      "  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$now\"))\n"
      "}}\n"
      "complete -F _millrace millrace\n",
      kAsk, quoted("|" + known), cases);
}

std::string zsh(const std::vector<Path>& paths) {
  std::string known, cases;
  for (const Path& path : paths) {
    known += path.words + "|";
    cases += fmt::format("    {}) choices=({}) names={} ;;\n", quoted(path.words), joined(*path.command),
                         quoted(path.command->names));
  }
  return fmt::format(
      "#compdef millrace\n"
      "# zsh completion of millrace: source <(millrace completion zsh){}"
      "_millrace() {{\n"
      "  local at= word names=\n"
      "  local -a choices\n"
      "  for word in \"${{words[@]:1:$((CURRENT-2))}}\"; do\n"
      "    [[ $word == -* ]] && continue\n"
      "    [[ {} == *\"|${{at:+$at }}$word|\"* ]] && at=\"${{at:+$at }}$word\"\n"
      "  done\n"
      "  case $at in\n{}  esac\n"
      "  [[ ${{words[CURRENT-1]}} == (-t|--topic) ]] && choices=() names=topic\n"
      "  [[ ${{words[CURRENT]}} == -* ]] && names=\n"
      "  [[ -z $names ]] || choices+=(${{(f)\"$(_millrace_names \"${{words[1]}}\" \"$names\" \"${{words[@]}}\")\"}})\n"
      "  compadd -- $choices || _files\n"
      "}}\n"
      "compdef _millrace millrace\n",
      kAsk, quoted("|" + known), cases);
}

/// Its own functions: fish is no POSIX shell.
constexpr std::string_view kAskFish = R"(
function __millrace_names
  set -l words (commandline -opc)
  set -l server
  if set -l at (contains -i -- -b $words; or contains -i -- --bootstrap-server $words)
    set server -b $words[(math $at + 1)]
  end
  $words[1] $argv[1] list --names --timeout-ms 1000 $server 2>/dev/null
end
)";

std::string fish(const std::vector<Path>& paths) {
  std::string lines = fmt::format("# fish completion of millrace: millrace completion fish | source{}", kAskFish);
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
    if (!path.command->names.empty())
      lines += fmt::format("complete -c millrace -n {} -f -a '(__millrace_names {})'\n", quoted(condition),
                           path.command->names);
    for (const std::string& option : path.command->options)
      if (option == "--topic") {
        lines += fmt::format("complete -c millrace -n {} -s t -l topic -x -a '(__millrace_names topic)'\n",
                             quoted(condition));
      } else if (option.starts_with("--"))
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
