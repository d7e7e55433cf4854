#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "metastore/local_metastore.h"
#include "runtime/real_host.h"
#include "sim/metastore.h"
#include "sim/world.h"

namespace mr::metastore {

/// A directory of the real disk that goes away with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = testing::TempDir() + "millrace-metastore-XXXXXX";
    MR_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { (void)real_files().remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

enum class Kind { memory, sqlite, unruly };
inline std::string name_of(Kind kind) {
  return kind == Kind::memory ? "memory" : kind == Kind::sqlite ? "sqlite" : "unruly";
}

/// A simulated broker of two shards with a store at home on shard 0; calls come from shard 1 unless said otherwise.
/// SQLite's file is real even here: its calls run on the simulated pool, so only their timing is made up.
class Stage {
 public:
  explicit Stage(Kind kind, std::uint64_t seed = 1) : kind_(kind), world({.seed = seed}) { open(); }
  ~Stage() { close(); }

  Metastore& store() {
    if (kind_ == Kind::unruly) return *unruly_;
    return *local_;
  }
  sim::UnrulyMetastore& unruly() { return *unruly_; }

  template <class T>
  T run(Task<T> task, std::uint32_t shard = 1) {
    return world.run(*process_, ShardId{shard}, std::move(task));
  }

  void close() {
    if (!local_) return;
    world.run(*process_, ShardId{0}, local_->stop());
    unruly_.reset();
    local_.reset();
    journal_.reset();
  }
  void open() {
    if (process_ == nullptr) process_ = &world.add_host("b").start(2);
    if (kind_ == Kind::sqlite) {
      journal_ = make_sqlite_journal(directory_.file("metadata.db"));
    } else {
      journal_ = std::shared_ptr<Journal>(std::shared_ptr<Journal>(), &memory_);
    }
    auto opened = world.run(*process_, ShardId{0},
                            LocalMetastore::open(*process_, ShardId{0}, process_->env(ShardId{0}).pool, journal_));
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    local_ = std::move(*opened);
    unruly_ = std::make_unique<sim::UnrulyMetastore>(world, *local_, sim::MetastoreFaults{});
  }
  /// As after a restart of the process.
  void reopen() {
    close();
    open();
  }
  sim::Process& process() { return *process_; }
  LocalMetastore& local() { return *local_; }

 private:
  Kind kind_;
  TemporaryDirectory directory_;
  MemoryJournal memory_;

 public:
  sim::World world;

 private:
  sim::Process* process_ = nullptr;
  std::shared_ptr<Journal> journal_;
  std::unique_ptr<LocalMetastore> local_;
  std::unique_ptr<sim::UnrulyMetastore> unruly_;
};

}  // namespace mr::metastore
