#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace mr::crashfs {

/// A change of a file's contents that no sync has covered.
struct PendingWrite {
  std::uint64_t position = 0;
  std::vector<char> bytes;
  bool is_truncate = false;  ///< to `position`
};

/// A file or a directory as programs see it. Never freed: a mount lives for one round of a test.
struct Node {
  std::uint64_t number = 0;
  bool is_directory = false;
  std::uint64_t size = 0;
  std::vector<PendingWrite> pending;
  std::map<std::string, Node*> children;
  Node* parent = nullptr;
  bool linked = true;  ///< has a name, as programs see it
  std::uint32_t opens = 0;
  timespec modified{};
  // What would survive a crash. Without durable_parent it lies among the orphans, where the next mount removes it.
  std::map<std::string, Node*> durable_children;
  Node* durable_parent = nullptr;
  std::string durable_name;
  int durable_file = -1;
};

struct Entry {
  Node* directory = nullptr;
  std::string name;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A change of names that no sync of a directory has covered; atomic, also over two directories.
struct PendingName {
  std::optional<Entry> gone;
  std::optional<Entry> made;
  Node* node = nullptr;
  bool touches(const Node* directory) const {
    return (gone && gone->directory == directory) || (made && made->directory == directory);
  }
  bool concerns(const Entry& entry) const { return gone == entry || made == entry; }
};

/// What a crash did with the changes that no sync had covered.
struct CrashReport {
  std::uint64_t writes_lost = 0;
  std::uint64_t writes_kept = 0;
  std::uint64_t writes_torn = 0;
  std::uint64_t names_lost = 0;
  std::uint64_t names_kept = 0;
};

/// A file system with the contract of sim::Disk and nothing beyond it: contents are durable by a sync of the file,
/// names (also of new files and directories) by a sync of the directory that holds them. BACKING/tree always is what
/// would survive a crash right now; everything else is in memory. Calls return 0 or a negative errno. Not synchronised.
class Volume {
 public:
  /// Starts from what the last life left in BACKING.
  explicit Volume(std::string backing);

  Node* root() { return nodes_.at(1).get(); }
  Node* node(std::uint64_t number) { return nodes_.at(number).get(); }
  struct stat attributes(const Node& node) const;

  Node* find(Node* directory, const std::string& name);
  int create(Node* directory, const std::string& name, bool is_directory, Node** made);
  int remove(Node* directory, const std::string& name, bool is_directory);
  /// Replaces the target, as rename(2) does.
  int rename(const Entry& from, const Entry& to);

  std::vector<char> read(Node& file, std::uint64_t position, std::uint64_t length);
  void write(Node& file, std::span<const char> bytes, std::uint64_t position);
  void truncate(Node& file, std::uint64_t size);

  void sync_contents(Node& file);
  void sync_names(Node* directory);
  void sync_all();
  void closed(Node& node);

  /// The power goes off: of what no sync has covered, nothing stays; or, with a seed, any subset of names and writes,
  /// torn at 512 bytes, a later one perhaps without an earlier. Only BACKING is right after that.
  CrashReport crash(std::optional<std::uint64_t> seed);

 private:
  Node* add_node(bool is_directory, Node* parent);
  void load(Node* directory, const std::string& path);
  std::string durable_path(const Node& node) const;
  int durable_file(Node& file);
  void move_durable(Node& node, Node* directory, const std::string& name);
  void apply(const PendingName& change);
  void apply(Node& file, const PendingWrite& change);
  void apply_torn(Node& file, const PendingWrite& change, std::mt19937_64& random);
  void keep_some_names(std::mt19937_64& random, CrashReport& report);
  void keep_some_writes(Node& file, std::mt19937_64& random, CrashReport& report);

  std::string tree_;
  std::string orphans_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Node>> nodes_;
  std::vector<PendingName> names_;
};

}  // namespace mr::crashfs
