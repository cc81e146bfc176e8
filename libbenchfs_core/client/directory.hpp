// A directory that is being listed: how far each server's part has come, and the pages at hand.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/match.hpp"
#include "base/types.hpp"
#include "wire/messages.hpp"

namespace benchfs {

class Client;

struct OpenDirectory {
  struct Part {
    ServerIndex server = 0;
    std::string after;  ///< the last name of its last page
    bool done = false;
  };
  struct Page {
    ServerIndex server = 0;
    std::vector<std::byte> bytes;
    std::size_t at = 0;  ///< of the next entry
  };
  Client* client = nullptr;
  std::string path;
  InodeId inode = 0;
  bool attributes = false;
  /// What alone is to be given, finding.cc.
  struct Search {
    Match match;
    bool descend = false;  ///< and directories, whether they fit or not
    std::uint64_t seen = 0;
  };
  std::unique_ptr<Search> search;  ///< null: everything
  std::vector<Part> parts;
  std::deque<Page> pages;
};

struct ListedEntry {
  InodeId inode = 0;
  std::uint32_t type = 0;
  std::string name;
  bool has_attributes = false;
  bool fits = true;        ///< of a search
  bool undecided = false;  ///< by its server
  wire::Attributes attributes{};
};

}  // namespace benchfs
