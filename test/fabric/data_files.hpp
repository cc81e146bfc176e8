// What the servers of a cluster have of file data, by what is in their data directories.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "arena/layout.hpp"
#include "cluster.hpp"

namespace benchfs::test {

/// Of the arena in a folder: segments of files that have blocks.
inline std::size_t arena_segments(const std::string& folder) {
  std::ifstream file(folder + "/arena.index", std::ios::binary);
  const auto header = std::make_unique<arena::Header>();
  if (!file.read(reinterpret_cast<char*>(header.get()), sizeof(*header))) return 0;
  const auto layout = arena::layout_of(header->groups, header->buckets, header->maps);
  file.seekg(static_cast<std::streamoff>(layout.maps_at));
  std::size_t count = 0;
  arena::SegmentMap map;
  for (std::uint64_t i = 0; i < header->maps_end; ++i) {
    REQUIRE(file.read(reinterpret_cast<char*>(&map), sizeof(map)));
    const bool blocks = std::any_of(std::begin(map.blocks), std::end(map.blocks),
                                    [](const auto& block) { return block != 0; });
    count += map.inode != 0 && blocks ? 1 : 0;
  }
  return count;
}

/// Chunk files of the first `servers` servers, files in their packs (servers/storage/pack.hpp), and
/// segments of 1 MiB with data in their arenas (arena/layout.hpp).
inline std::size_t data_files(const Cluster& cluster, int servers) {
  std::size_t count = 0;
  for (int i = 0; i < servers; ++i) {
    const std::string chunks = cluster.data_dir(i) + "/chunks";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(chunks)) {
      if (entry.is_regular_file() && entry.path().parent_path() != chunks) ++count;
    }
    std::ifstream index(chunks + "/pack.index", std::ios::binary);
    index.seekg(64);
    std::uint64_t record[2];
    while (index.read(reinterpret_cast<char*>(record), sizeof(record))) count += record[0] != 0;
    count += arena_segments(chunks);
  }
  return count;
}

}  // namespace benchfs::test
