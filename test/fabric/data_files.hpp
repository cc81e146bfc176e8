// What the servers of a cluster have of file data, by what is in their data directories.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "cluster.hpp"

namespace benchfs::test {

/// Chunk files of the first `servers` servers, and files in their packs (servers/storage/pack.hpp).
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
  }
  return count;
}

}  // namespace benchfs::test
