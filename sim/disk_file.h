#pragma once
#include <memory>
#include <string>

#include "sim/disk_volume.h"

namespace mr::sim {

/// A handle on one inode of one volume; goes on with a ghost after a crash.
std::unique_ptr<File> make_file(std::shared_ptr<Disk::Core> core, VolumePtr volume, InodePtr inode, std::string path,
                                bool writable);

}  // namespace mr::sim
