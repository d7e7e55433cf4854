// Aim: the fake disk keeps exactly what the contract of FileSystem promises across a crash, and may lose the rest in
// every nasty way; every fault that can be armed fires. Method: small histories, crash, look what is left; for the
// random mode many seeds, asking that each possible outcome turns up.
#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>

namespace mr::sim {
namespace {

std::string contents(FileSystem& files, const std::string& path) {
  auto file = files.open(path, OpenMode::read);
  if (!file.ok()) return "<" + std::string(to_string(file.code())) + ">";
  std::string text((*file)->size().value(), '?');
  auto bytes = std::as_writable_bytes(std::span(text));
  EXPECT_EQ((*file)->read_at(bytes, 0).value(), text.size());
  return text;
}

std::unique_ptr<File> make(FileSystem& files, const std::string& path, std::string_view text) {
  auto file = files.open(path, OpenMode::create);
  EXPECT_TRUE(file.ok());
  EXPECT_TRUE((*file)->write_at(as_bytes(text), 0).ok());
  return std::move(*file);
}

/// A file whose name and contents are durable.
std::unique_ptr<File> make_durable(FileSystem& files, const std::string& path, std::string_view text) {
  auto file = make(files, path, text);
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(files.sync_directory(path.substr(0, path.rfind('/'))).ok());
  return file;
}

TEST(SimDisk, ReadsWhatWasWrittenAcrossPagesAndHoles) {
  Disk disk(1);
  auto file = disk.open("/f", OpenMode::create).value();
  std::string text(10'000, 'x');
  std::array<ByteView, 2> pieces{as_bytes(text), as_bytes("end")};
  ASSERT_TRUE(file->write_at(pieces, 5'000).ok());
  EXPECT_EQ(contents(disk, "/f"), std::string(5'000, '\0') + text + "end");
  std::array<std::byte, 16> into{};
  EXPECT_EQ(file->read_at(into, 15'000).value(), 3u);
  EXPECT_EQ(file->read_at(into, 99'000).value(), 0u);
  ASSERT_TRUE(file->truncate(5'001).ok());
  ASSERT_TRUE(file->truncate(5'003).ok());
  EXPECT_EQ(contents(disk, "/f").substr(4'999), std::string("\0x\0\0", 4));
}

TEST(SimDisk, NamesAndErrorsFollowTheContract) {
  Disk disk(1);
  EXPECT_EQ(disk.open("/d/f", OpenMode::create).code(), Errc::not_found);
  ASSERT_TRUE(disk.make_directories("/d/e").ok());
  make(disk, "/d/f", "1");
  EXPECT_EQ(disk.open("/d/f", OpenMode::create_new).code(), Errc::already_exists);
  EXPECT_EQ(disk.open("/d/g", OpenMode::read_write).code(), Errc::not_found);
  EXPECT_EQ(disk.open("/d/f", OpenMode::read).value()->write_at(as_bytes("x"), 0).code(), Errc::permission_denied);
  EXPECT_EQ(disk.list("/d").value().size(), 2u);
  EXPECT_EQ(disk.list("/x").code(), Errc::not_found);
  EXPECT_FALSE(disk.remove("/d").ok());
  make(disk, "/d/e/g", "2");
  ASSERT_TRUE(disk.rename("/d/e/g", "/d/f").ok());
  EXPECT_EQ(contents(disk, "/d/f"), "2");
  ASSERT_TRUE(disk.remove_all("/d").ok());
  ASSERT_TRUE(disk.remove_all("/d").ok());
  EXPECT_FALSE(disk.exists("/d").value());
  EXPECT_EQ(disk.used_bytes(), 0u);
}

TEST(SimDisk, CrashLosesDataWithoutSyncAndNamesWithoutDirectorySync) {
  Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/d").ok());
  ASSERT_TRUE(disk.sync_directory("/").ok());
  auto kept = make_durable(disk, "/d/kept", "old");
  ASSERT_TRUE(kept->write_at(as_bytes("new and longer"), 0).ok());
  make_durable(disk, "/d/moved", "m");
  make(disk, "/d/unsynced data", "x");
  ASSERT_TRUE(disk.sync_directory("/d").ok());
  ASSERT_TRUE(make(disk, "/d/unsynced name", "y")->sync().ok());
  ASSERT_TRUE(disk.rename("/d/moved", "/d/elsewhere").ok());
  disk.crash(CrashMode::lose_unsynced);
  EXPECT_EQ(contents(disk, "/d/kept"), "old");
  EXPECT_EQ(contents(disk, "/d/unsynced data"), "");
  EXPECT_EQ(contents(disk, "/d/unsynced name"), "<not_found>");
  EXPECT_EQ(contents(disk, "/d/moved"), "m");
  EXPECT_EQ(contents(disk, "/d/elsewhere"), "<not_found>");
}

TEST(SimDisk, DeathOfTheProcessAloneLosesNothing) {
  Disk disk(1);
  make(disk, "/a", "text");
  ASSERT_TRUE(disk.rename("/a", "/b").ok());
  disk.crash(CrashMode::keep_all);
  EXPECT_EQ(contents(disk, "/b"), "text");
  EXPECT_FALSE(disk.exists("/a").value());
}

TEST(SimDisk, DeathOfTheProcessSyncsNothingEither) {
  Disk disk(1);
  auto file = make_durable(disk, "/f", "synced");
  ASSERT_TRUE(file->write_at(as_bytes("dirty!"), 0).ok());
  make(disk, "/name", "x");
  disk.crash(CrashMode::keep_all);
  EXPECT_EQ(contents(disk, "/f"), "dirty!");
  ASSERT_TRUE(file->sync().ok());  // by the dead process
  disk.crash(CrashMode::lose_unsynced);
  EXPECT_EQ(contents(disk, "/f"), "synced");
  EXPECT_FALSE(disk.exists("/name").value());
}

TEST(SimDisk, ChosenFatesOfTheYoungestWrites) {
  Disk disk(1);
  auto file = make_durable(disk, "/f", std::string(2048, '.'));
  ASSERT_TRUE(file->write_at(as_bytes(std::string(1024, 'A')), 0).ok());
  ASSERT_TRUE(file->write_at(as_bytes(std::string(1000, 'B')), 1024).ok());
  auto unsynced = disk.unsynced();
  ASSERT_EQ(unsynced.size(), 2u);
  EXPECT_EQ(unsynced[1].path, "/f");
  EXPECT_EQ(unsynced[1].sectors, 2u);
  auto left_by = [&](std::vector<Survival> fates) {
    auto copy = disk.fork(7);
    copy->crash(fates);
    return contents(*copy, "/f");
  };
  std::string dots(2048, '.');
  EXPECT_EQ(left_by({Survival::lost(), Survival::lost()}), dots);
  EXPECT_EQ(left_by({Survival::whole(), Survival::lost()}), std::string(1024, 'A') + std::string(1024, '.'));
  EXPECT_EQ(left_by({{.from = 1, .to = 2}, {.from = 0, .to = 1}}),
            std::string(512, '.') + std::string(512, 'A') + std::string(512, 'B') + std::string(512, '.'));
  EXPECT_EQ(contents(disk, "/f").substr(0, 3), "AAA");
  disk.crash(CrashMode::lose_unsynced);
  EXPECT_EQ(contents(disk, "/f"), dots);
}

TEST(SimDisk, SaysWhichFaultsTookEffect) {
  Disk disk(1, 64_KiB);
  std::multiset<std::string> seen;
  disk.on_fault([&](std::string_view name) { seen.insert(std::string(name)); });
  auto file = make(disk, "/f", std::string(8192, 'x'));
  std::vector<std::byte> into(4096);
  disk.add_fault({.kind = Fault::Kind::cut_read, .op = DiskOp::read});
  std::size_t count = file->read_at(into, 0).value();
  EXPECT_LE(count, into.size());
  disk.add_fault({.op = DiskOp::open, .error = Errc::resource_exhausted});
  EXPECT_EQ(disk.open("/f", OpenMode::read).code(), Errc::resource_exhausted);
  EXPECT_EQ(file->write_at(as_bytes(std::string(65'536, 'y')), 4'096).code(), Errc::disk_full);
  disk.flip_bit("/f", 0, 1);
  for (const char* name : {"short_read", "emfile_open", "enospc_write", "flipped_medium"}) {
    EXPECT_GE(seen.count(name), 1u) << name;
  }
}

TEST(SimDisk, SyncedRenameTakesBothDirectoriesAlong) {
  Disk disk(1);
  ASSERT_TRUE(disk.make_directories("/from").ok());
  ASSERT_TRUE(disk.make_directories("/to").ok());
  ASSERT_TRUE(disk.sync_directory("/").ok());
  ASSERT_TRUE(make(disk, "/from/f", "v")->sync().ok());
  ASSERT_TRUE(disk.rename("/from/f", "/to/f").ok());
  ASSERT_TRUE(disk.sync_directory("/to").ok());
  for (CrashMode mode : {CrashMode::random, CrashMode::keep_all, CrashMode::lose_unsynced}) {
    disk.crash(mode);
    EXPECT_EQ(contents(disk, "/to/f"), "v");
    EXPECT_FALSE(disk.exists("/from/f").value());
  }
}

TEST(SimDisk, RandomCrashKeepsAnySubsetTornAtSectors) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Disk disk(seed);
    auto file = make_durable(disk, "/f", std::string(1024, '.'));
    ASSERT_TRUE(file->write_at(as_bytes(std::string(1024, 'A')), 0).ok());
    ASSERT_TRUE(file->write_at(as_bytes(std::string(512, 'B')), 1024).ok());
    disk.crash(CrashMode::random);
    std::string left = contents(disk, "/f");
    ASSERT_EQ(left.size() % 512, 0u);
    std::string shape;
    for (std::size_t at = 0; at < left.size(); at += 512) {
      ASSERT_EQ(left.substr(at, 512), std::string(512, left[at])) << "torn inside a sector, seed " << seed;
      shape += left[at] == 0 ? '0' : left[at];
    }
    outcomes.insert(shape);
  }
  // Old, each tear of the first write, with and without the second, and a size that arrived without its data.
  for (const char* shape : {"..", "A.", ".A", "AA", "..B", "A.B", ".AB", "AAB", "..0"}) {
    EXPECT_TRUE(outcomes.contains(shape)) << shape;
  }
}

TEST(SimDisk, RandomCrashKeepsAnySubsetOfNames) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Disk disk(seed);
    make_durable(disk, "/old", "o");
    ASSERT_TRUE(make(disk, "/tmp", "t")->sync().ok());
    ASSERT_TRUE(disk.rename("/tmp", "/new").ok());
    ASSERT_TRUE(disk.remove("/old").ok());
    disk.crash(CrashMode::random);
    std::string names;
    for (const char* name : {"old", "tmp", "new"}) {
      if (disk.exists(std::string("/") + name).value()) names += std::string(name) + " ";
    }
    outcomes.insert(names);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"old ", "old tmp ", "old new ", "new ", "", "tmp "}));
}

TEST(SimDisk, CrashAfterSendsTheRestToAGhost) {
  Disk disk(1);
  auto file = make_durable(disk, "/f", "0");
  disk.crash_after(2, CrashMode::lose_unsynced);
  ASSERT_TRUE(file->write_at(as_bytes("1"), 0).ok());
  EXPECT_FALSE(disk.crashed());
  ASSERT_TRUE(file->sync().ok());  // the second change: durable, then the power goes
  EXPECT_TRUE(disk.crashed());
  ASSERT_TRUE(file->write_at(as_bytes("2"), 0).ok());
  ASSERT_TRUE(file->sync().ok());
  make_durable(disk, "/g", "ghost");
  EXPECT_EQ(contents(disk, "/f"), "2");
  disk.restart();
  EXPECT_EQ(contents(disk, "/f"), "1");
  EXPECT_FALSE(disk.exists("/g").value());
  ASSERT_TRUE(file->write_at(as_bytes("3"), 0).ok());
  EXPECT_EQ(contents(disk, "/f"), "1");
}

TEST(SimDisk, LocksExcludeAndAreFreeAfterACrash) {
  Disk disk(1);
  auto first = disk.lock("/lock").value();
  EXPECT_EQ(disk.lock("/lock").code(), Errc::in_use);
  disk.crash(CrashMode::keep_all);
  auto second = disk.lock("/lock").value();
  first.reset();  // the dead process's end frees nothing of ours
  EXPECT_EQ(disk.lock("/lock").code(), Errc::in_use);
  second.reset();
  EXPECT_TRUE(disk.lock("/lock").ok());
}

TEST(SimDisk, FullDiskRefusesAndHeals) {
  Disk disk(1, 64_KiB);
  auto file = make(disk, "/f", std::string(32'000, 'x'));
  Result<void> refused = file->write_at(as_bytes(std::string(40'000, 'y')), 32'000);
  EXPECT_EQ(refused.code(), Errc::disk_full);
  EXPECT_EQ(file->allocate(0, 1_MiB).code(), Errc::disk_full);
  EXPECT_LE(disk.used_bytes(), 64_KiB);
  ASSERT_TRUE(file->truncate(0).ok());
  ASSERT_TRUE(file->allocate(0, 64_KiB).ok());
  EXPECT_EQ(disk.space("/").value().free_bytes, 0u);
  EXPECT_EQ(disk.open("/g", OpenMode::create).code(), Errc::disk_full);
  EXPECT_TRUE(file->write_at(as_bytes(std::string(64_KiB, 'z')), 0).ok()) << "what was allocated is there";
  disk.set_total_bytes(128_KiB);
  EXPECT_TRUE(disk.open("/g", OpenMode::create).ok());
  ASSERT_TRUE(file->allocate(0, 120_KiB).ok());
  ASSERT_TRUE(file->truncate(64_KiB).ok());
  EXPECT_EQ(disk.used_bytes(), 64_KiB) << "a truncation to its own size gives back what lies behind";
  file.reset();
  ASSERT_TRUE(disk.remove("/f").ok());
  EXPECT_EQ(disk.used_bytes(), 0u);
}

TEST(SimDisk, FaultsFireWhenAndAsOftenAsAsked) {
  Disk disk(1);
  auto file = make_durable(disk, "/dir.log", "0");
  disk.add_fault({.op = DiskOp::write, .path_contains = ".log", .after = 1, .times = 2, .error = Errc::io_error});
  EXPECT_TRUE(file->write_at(as_bytes("a"), 0).ok());
  EXPECT_EQ(file->write_at(as_bytes("b"), 0).code(), Errc::io_error);
  EXPECT_EQ(file->write_at(as_bytes("c"), 0).code(), Errc::io_error);
  EXPECT_TRUE(file->write_at(as_bytes("d"), 0).ok());
  disk.add_fault({.op = DiskOp::read, .times = Fault::kAlways});
  std::array<std::byte, 1> into{};
  EXPECT_EQ(file->read_at(into, 0).code(), Errc::disk_failed);
  EXPECT_EQ(file->read_at(into, 0).code(), Errc::disk_failed);
  disk.heal();
  EXPECT_TRUE(file->read_at(into, 0).ok());
  EXPECT_EQ(disk.faults_fired(), 4u);
  for (DiskOp op : {DiskOp::open, DiskOp::create, DiskOp::truncate, DiskOp::allocate, DiskOp::make_directory,
                    DiskOp::rename, DiskOp::remove, DiskOp::sync_directory, DiskOp::list}) {
    disk.add_fault({.op = op});
  }
  EXPECT_FALSE(disk.open("/dir.log", OpenMode::read).ok());
  EXPECT_FALSE(disk.open("/new", OpenMode::create).ok());
  EXPECT_FALSE(file->truncate(0).ok());
  EXPECT_FALSE(file->allocate(0, 1).ok());
  EXPECT_FALSE(disk.make_directories("/x").ok());
  EXPECT_FALSE(disk.rename("/dir.log", "/y").ok());
  EXPECT_FALSE(disk.remove("/dir.log").ok());
  EXPECT_FALSE(disk.sync_directory("/").ok());
  EXPECT_FALSE(disk.list("/").ok());
  EXPECT_EQ(disk.faults_fired(), 13u);
}

// A failed sync is as bad as on Linux: the next one says ok although the data is gone (why rule 3 forbids a retry).
TEST(SimDisk, FailedSyncLosesDataSilentlyForALaterOne) {
  bool lost = false, differs = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    auto file = make_durable(disk, "/f", "old");
    ASSERT_TRUE(file->write_at(as_bytes("new"), 0).ok());
    disk.add_fault({.op = DiskOp::sync});
    EXPECT_EQ(file->sync().code(), Errc::disk_failed);
    EXPECT_TRUE(file->sync().ok());
    EXPECT_EQ(contents(disk, "/f"), "new") << "the cache still has it";
    file->drop_cache();
    differs |= contents(disk, "/f") == "old";
    disk.crash(CrashMode::lose_unsynced);
    lost |= contents(disk, "/f") == "old";
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(differs) << "a read past the cache must see the medium";
}

// As posix_fadvise: the pages wholly within the range, and a cut one at the end of the file.
TEST(SimDisk, ARangeOfTheCacheIsDroppedByWholePages) {
  constexpr std::uint64_t kPage = 4096, kSize = 2 * kPage + 100;
  struct Case {
    std::uint64_t position, bytes, first, end;  // and the pages that go
  };
  bool differs = false;
  for (const Case& c :
       {Case{0, kSize, 0, 3}, Case{0, INT64_MAX, 0, 3}, Case{1, kSize - 1, 1, 3}, Case{0, 2 * kPage, 0, 2},
        Case{kPage, 2 * kPage - 1, 1, 3}, Case{kPage - 1, kPage, 0, 0}, Case{3 * kPage, kPage, 0, 0}}) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      Disk disk(seed);
      auto file = make_durable(disk, "/f", std::string(kSize, '.'));
      ASSERT_TRUE(file->write_at(as_bytes(std::string(kSize, 'x')), 0).ok());
      disk.add_fault({.op = DiskOp::sync});
      EXPECT_FALSE(file->sync().ok());  // now all is clean, and some of it not on the medium
      auto medium = disk.durable_bytes("/f").value();
      file->drop_cache(c.position, c.bytes);
      std::string now = contents(disk, "/f");
      ASSERT_EQ(now.size(), medium.size());
      for (std::uint64_t i = 0; i < now.size(); ++i) {
        bool dropped = i / kPage >= c.first && i / kPage < c.end;
        ASSERT_EQ(now[i], dropped ? static_cast<char>(medium[i]) : 'x') << c.position << " " << c.bytes << " " << i;
        differs |= dropped && now[i] != 'x';
      }
    }
  }
  EXPECT_TRUE(differs);
}

TEST(SimDisk, BitFlipsHitReadsOrTheMedium) {
  Disk disk(3);
  auto file = make_durable(disk, "/f", "aaaaaaaa");
  disk.add_fault({.kind = Fault::Kind::flip_bit, .op = DiskOp::read});
  EXPECT_NE(contents(disk, "/f"), "aaaaaaaa");
  EXPECT_EQ(contents(disk, "/f"), "aaaaaaaa") << "once only, and the medium is whole";
  disk.flip_bit("/f", 2, 1);
  EXPECT_EQ(contents(disk, "/f"), "aacaaaaa");
  disk.crash(CrashMode::lose_unsynced);
  EXPECT_EQ(contents(disk, "/f"), "aacaaaaa");
}

TEST(SimDisk, LyingSyncLosesWhatItPromised) {
  Disk disk(1);
  auto file = make_durable(disk, "/f", "old");
  disk.add_fault({.kind = Fault::Kind::lie, .op = DiskOp::sync, .times = Fault::kAlways});
  ASSERT_TRUE(file->write_at(as_bytes("new"), 0).ok());
  ASSERT_TRUE(file->sync().ok());
  disk.crash(CrashMode::lose_unsynced);
  EXPECT_EQ(contents(disk, "/f"), "old");
}

TEST(SimDisk, DelaysAndHangsAreReportedToTheWorld) {
  Disk disk(1);
  auto file = make(disk, "/f", "x");
  disk.add_fault({.kind = Fault::Kind::delay, .op = DiskOp::sync, .times = 2, .delay = Millis(5)});
  disk.add_fault({.kind = Fault::Kind::hang, .op = DiskOp::sync, .after = 1});
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(disk.take_stall().delay, Millis(5));
  ASSERT_TRUE(file->sync().ok());
  Disk::Stall stall = disk.take_stall();
  EXPECT_EQ(stall.delay, Millis(5));
  EXPECT_TRUE(stall.hung);
  EXPECT_FALSE(disk.take_stall().hung);
}

// Against a model: a random history of writes, truncations and syncs on several files, then a crash that loses all
// unsynced changes, equals a plain map of strings that is copied at each sync.
TEST(SimDisk, EqualsAPlainModelOverRandomHistories) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Disk disk(seed);
    Random rng(seed + 1000);
    std::map<std::string, std::string> cached, durable;
    std::map<std::string, std::unique_ptr<File>> open;
    for (const char* name : {"/a", "/b"}) {
      open[name] = make_durable(disk, name, "");
      cached[name] = durable[name] = "";
    }
    for (int step = 0; step < 120; ++step) {
      std::string name = rng.one_in(2) ? "/a" : "/b";
      std::string& text = cached[name];
      std::uint64_t draw = rng.below(10);
      if (draw < 6) {
        std::string bytes(rng.between(1, 9'000), static_cast<char>(rng.below(3)));
        std::uint64_t at = rng.below(30'000);
        ASSERT_TRUE(open[name]->write_at(as_bytes(bytes), at).ok());
        if (text.size() < at + bytes.size()) text.resize(at + bytes.size());
        text.replace(at, bytes.size(), bytes);
      } else if (draw < 8) {
        std::uint64_t size = rng.below(40'000);
        ASSERT_TRUE(open[name]->truncate(size).ok());
        text.resize(size);
      } else if (draw == 8) {
        ASSERT_TRUE(open[name]->sync().ok());
        durable[name] = text;
      } else {
        open[name]->drop_cache();
      }
      ASSERT_EQ(contents(disk, name), text) << "seed " << seed << " step " << step;
    }
    disk.crash(CrashMode::lose_unsynced);
    for (const auto& [name, text] : durable) ASSERT_EQ(contents(disk, name), text) << "seed " << seed;
  }
}

}  // namespace
}  // namespace mr::sim
