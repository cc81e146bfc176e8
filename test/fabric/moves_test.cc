// Renames and hard links through real servers.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

void write_file(Session& session, const std::string& path, const std::string& text) {
  benchfs_file_t* file = session.open(path, O_RDWR | O_CREAT | O_TRUNC);
  CHECK(benchfs_pwrite(file, text.data(), text.size(), 0) ==
        static_cast<std::int64_t>(text.size()));
  CHECK(benchfs_close(file) == 0);
}

/// Or the error of open.
std::string text_of(Session& session, const std::string& path) {
  benchfs_file_t* file = nullptr;
  const int error = benchfs_open(session, path.c_str(), O_RDONLY, 0, 0, &file);
  if (error != 0) return std::to_string(error);
  std::string text(100, '\0');
  std::int64_t bytes = benchfs_pread(file, text.data(), text.size(), 0);
  if (bytes == -ENOENT) bytes = 0;  // replaced since it was opened
  REQUIRE(bytes >= 0);
  text.resize(static_cast<std::size_t>(bytes));
  CHECK(benchfs_close(file) == 0);
  return text;
}

int rename_of(Session& session, const std::string& from, const std::string& to,
              unsigned flags = 0) {
  return benchfs_rename(session, from.c_str(), to.c_str(), flags);
}
int mkdir_of(Session& session, const std::string& path) {
  return benchfs_mkdir(session, path.c_str(), 0755);
}
const std::string kNone = std::to_string(-ENOENT);

std::size_t count_of(Session& session, const char* path) {
  benchfs_dir_t* directory = nullptr;
  REQUIRE(benchfs_opendir(session, path, 0, &directory) == 0);
  benchfs_dirent entry;
  std::size_t count = 0;
  while (benchfs_readdir(directory, &entry) == 1) ++count;
  CHECK(benchfs_closedir(directory) == 0);
  return count;
}

TEST_SUITE("moves") {
  TEST_CASE("rename: a file to names of every server, with its data and its open files") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    REQUIRE(mkdir_of(session, "/d") == 0);
    write_file(session, "/f", "text");
    const std::uint64_t inode = session.stat("/f").inode;
    benchfs_file_t* file = session.open("/f", O_RDWR);
    std::string at = "/f";
    for (int i = 0; i < 12; ++i) {
      const std::string to = (i % 2 == 0 ? "/d/n" : "/n") + std::to_string(i);
      REQUIRE_MESSAGE(rename_of(session, at, to) == 0, benchfs_error());
      CHECK(text_of(other, at) == kNone);
      CHECK(text_of(other, to) == "text");
      CHECK(other.stat(to).inode == inode);
      CHECK(other.stat(to).nlink == 1);
      at = to;
    }
    CHECK(benchfs_pwrite(file, "TEXT", 4, 0) == 4);
    CHECK(benchfs_close(file) == 0);
    CHECK(text_of(other, at) == "TEXT");
    file = session.open(at, O_RDWR | O_TRUNC);
    CHECK(benchfs_close(file) == 0);
    CHECK(text_of(other, at).empty());
    CHECK(count_of(session, "/d") == 0);
    CHECK(benchfs_unlink(session, at.c_str()) == 0);
    CHECK(count_of(session, "/") == 1);
  }

  TEST_CASE("rename: replaces a file, and its data goes; names that nothing may have") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(mkdir_of(session, "/d") == 0);
    REQUIRE(mkdir_of(session, "/d/sub") == 0);
    REQUIRE(mkdir_of(session, "/e") == 0);
    for (int i = 0; i < 9; ++i) {
      const std::string from = "/from" + std::to_string(i), to = "/to" + std::to_string(i);
      write_file(session, from, "new");
      write_file(session, to, "old");
      CHECK(rename_of(session, from, to, BENCHFS_RENAME_NOREPLACE) == -EEXIST);
      CHECK(text_of(session, to) == "old");
      CHECK(rename_of(session, from, "/d") == -EISDIR);
      CHECK(rename_of(session, "/e", to) == -ENOTDIR);
      CHECK(rename_of(session, from, to) == 0);
      CHECK(text_of(session, to) == "new");
      CHECK(text_of(session, from) == kNone);
      CHECK(rename_of(session, from, to) == -ENOENT);
      CHECK(rename_of(session, to, "/no" + std::to_string(i) + "/x") == -ENOENT);
      CHECK(rename_of(session, to, to + "/x") == -ENOTDIR);
      CHECK(rename_of(session, to, to) == 0);
    }
    CHECK(rename_of(session, "/e", "/d") == -ENOTEMPTY);
    CHECK(rename_of(session, "/d/sub", "/d") == -ENOTEMPTY);
    CHECK(rename_of(session, "/d", "/d/x") == -EINVAL);
    CHECK(rename_of(session, "/d", "/d/sub/x") == -EINVAL);
    CHECK(rename_of(session, "/d", "/d/sub") == -EINVAL);
    CHECK(rename_of(session, "/", "/x") == -EBUSY);
    CHECK(rename_of(session, "/e", "/") == -EBUSY);
    CHECK(rename_of(session, "/d/sub/..", "/x") == -EBUSY);
    CHECK(rename_of(session, "/to1", "/x", 4) == -EINVAL);
    CHECK(rename_of(session, "/to1", "/x", 3) == -EINVAL);
    CHECK(rename_of(session, "/to1", "/" + std::string(256, 'x')) == -ENAMETOOLONG);
  }

  TEST_CASE("rename: directories, with what is below them, over empty ones too") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    REQUIRE(mkdir_of(session, "/p") == 0);
    REQUIRE(mkdir_of(session, "/a") == 0);
    write_file(session, "/a/f", "text");
    std::string at = "/a";
    for (int i = 0; i < 9; ++i) {
      const std::string to = (i % 3 == 0 ? "/p/n" : "/n") + std::to_string(i);
      if (i % 2 == 0) REQUIRE(mkdir_of(session, to) == 0);
      REQUIRE_MESSAGE(rename_of(session, at, to) == 0, benchfs_error());
      benchfs_cache_drop(other);  // it remembers for a second what a directory is called
      CHECK(text_of(other, at + "/f") == kNone);
      CHECK(text_of(other, to + "/f") == "text");
      write_file(other, to + "/g" + std::to_string(i), "more");
      at = to;
    }
    CHECK(count_of(session, at.c_str()) == 10);
    CHECK(benchfs_rmdir(session, at.c_str()) == -ENOTEMPTY);
    CHECK(count_of(session, "/p") == 0);
    CHECK(benchfs_rmdir(session, "/p") == 0);
    CHECK(count_of(session, "/") == 1);
  }

  TEST_CASE("rename: two change places, whatever they are") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(mkdir_of(session, "/p") == 0);
    for (int i = 0; i < 6; ++i) {
      const std::string one = "/one" + std::to_string(i), two = "/p/two" + std::to_string(i);
      const std::string dir = "/dir" + std::to_string(i);
      write_file(session, one, "1");
      CHECK(rename_of(session, one, two, BENCHFS_RENAME_EXCHANGE) == -ENOENT);
      write_file(session, two, "2");
      REQUIRE(mkdir_of(session, dir) == 0);
      write_file(session, dir + "/f", "3");
      CHECK(rename_of(session, one, two, BENCHFS_RENAME_EXCHANGE) == 0);
      CHECK(text_of(session, one) == "2");
      CHECK(text_of(session, two) == "1");
      CHECK_MESSAGE(rename_of(session, two, dir, BENCHFS_RENAME_EXCHANGE) == 0, benchfs_error());
      CHECK(text_of(session, two + "/f") == "3");
      CHECK(text_of(session, dir) == "1");
      CHECK(rename_of(session, one, one, BENCHFS_RENAME_EXCHANGE) == 0);
      CHECK(rename_of(session, "/p", two, BENCHFS_RENAME_EXCHANGE) == -EINVAL);
      CHECK(rename_of(session, two, "/p", BENCHFS_RENAME_EXCHANGE) == -EINVAL);
    }
  }

  TEST_CASE("link: one file by several names, until the last is gone") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(mkdir_of(session, "/d") == 0);
    write_file(session, "/f", "text");
    REQUIRE(benchfs_symlink(session, "f", "/s") == 0);
    for (std::uint32_t i = 0; i < 6; ++i) {
      const std::string to = (i % 2 == 0 ? "/d/l" : "/l") + std::to_string(i);
      REQUIRE_MESSAGE(benchfs_link(session, "/f", to.c_str()) == 0, benchfs_error());
      CHECK(benchfs_link(session, "/f", to.c_str()) == -EEXIST);
      CHECK(session.stat(to).nlink == i + 2);
      CHECK(session.stat(to).inode == session.stat("/f").inode);
      CHECK(rename_of(session, "/f", to) == 0);  // both stay
      CHECK(text_of(session, "/f") == "text");
    }
    CHECK(benchfs_link(session, "/d", "/x") == -EPERM);
    CHECK(benchfs_link(session, "/d/..", "/x") == -EPERM);
    CHECK(benchfs_link(session, "/no", "/x") == -ENOENT);
    CHECK(benchfs_link(session, "/f", "/no/x") == -ENOENT);
    CHECK(benchfs_link(session, "/f", "/f/x") == -ENOTDIR);
    CHECK(session.stat("/f").nlink == 7);
    REQUIRE(benchfs_link(session, "/s", "/s2") == 0);
    struct benchfs_stat st {};
    REQUIRE(benchfs_lstat(session, "/s2", &st) == 0);
    CHECK(S_ISLNK(st.mode));
    CHECK(st.nlink == 2);
    write_file(session, "/other", "other");
    REQUIRE(rename_of(session, "/other", "/l1") == 0);  // one name less
    CHECK(session.stat("/f").nlink == 6);
    for (const char* name : {"/d/l0", "/d/l2", "/d/l4", "/f", "/l3"}) {
      CHECK(text_of(session, name) == "text");
      CHECK(benchfs_unlink(session, name) == 0);
    }
    CHECK(session.stat("/l5").nlink == 1);
    CHECK(text_of(session, "/l5") == "text");
    CHECK(benchfs_unlink(session, "/l5") == 0);
    CHECK(text_of(session, "/l5") == kNone);
  }

  TEST_CASE("rename: of two at once one wins; the new name is always there") {
    Cluster cluster(3);
    Session session(cluster);
    write_file(session, "/target", "0");
    std::atomic<bool> stop{false};
    std::atomic<int> missing{0};
    std::thread reader([&] {
      Session mine(cluster);
      while (!stop) missing += text_of(mine, "/target") == kNone;
    });
    std::atomic<int> moved{0};
    std::thread movers[2];
    for (int t = 0; t < 2; ++t) {
      movers[t] = std::thread([&, t] {
        Session mine(cluster);
        for (int i = 0; i < 60; ++i) {
          const std::string own = "/own" + std::to_string(t) + "." + std::to_string(i);
          write_file(mine, own, "x");
          CHECK(rename_of(mine, own, "/target") == 0);
          const std::string both = "/both" + std::to_string(i);
          benchfs_file_t* file = mine.open(both, O_RDWR | O_CREAT);
          CHECK(benchfs_close(file) == 0);
          const int error = rename_of(mine, both, both + "to" + std::to_string(t));
          CHECK((error == 0 || error == -ENOENT));
          moved += error == 0;
        }
      });
    }
    for (auto& mover : movers) mover.join();
    stop = true;
    reader.join();
    CHECK(missing == 0);
    // Each was made, perhaps anew after the first rename, and none is lost.
    CHECK(count_of(session, "/") == static_cast<std::size_t>(1) + [&] {
      std::size_t names = 0;
      for (int i = 0; i < 60; ++i) {
        for (const char* end : {"", "to0", "to1"}) {
          names += text_of(session, "/both" + std::to_string(i) + end) != kNone;
        }
      }
      CHECK(names >= 60);
      return names;
    }());
    CHECK(moved >= 60);
  }

  TEST_CASE("rename: two directories, each below the other, at once") {
    Cluster cluster(3);
    Session session(cluster);
    for (int round = 0; round < 15; ++round) {
      const std::string a = "/a" + std::to_string(round), b = "/b" + std::to_string(round);
      REQUIRE(mkdir_of(session, a) == 0);
      REQUIRE(mkdir_of(session, b) == 0);
      int first = 0, second = 0;
      std::thread one([&] {
        Session mine(cluster);
        first = rename_of(mine, a, b + "/x");
      });
      std::thread two([&] {
        Session mine(cluster);
        second = rename_of(mine, b, a + "/x");
      });
      one.join();
      two.join();
      // The loser finds its directory gone, or the way to the other one.
      CHECK(((first == 0) != (second == 0)));
      CHECK_MESSAGE((first + second == -ENOENT || first + second == -EINVAL),
                    first << " " << second);
      const std::string top = first == 0 ? b : a;
      CHECK(benchfs_rmdir(session, (top + "/x").c_str()) == 0);
      CHECK(benchfs_rmdir(session, top.c_str()) == 0);
    }
    CHECK(count_of(session, "/") == 0);
  }

  TEST_CASE("rename: against rmdir of the place it goes to, one of the two succeeds") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    for (int round = 0; round < 30; ++round) {
      const std::string dir = "/d" + std::to_string(round), file = "/f" + std::to_string(round);
      REQUIRE(mkdir_of(session, dir) == 0);
      write_file(session, file, "x");
      int removed = 0, renamed = 0;
      std::thread remover([&] { removed = benchfs_rmdir(other, dir.c_str()); });
      renamed = rename_of(session, file, dir + "/x");
      remover.join();
      CHECK(((removed == 0) != (renamed == 0)));
      CHECK(text_of(session, renamed == 0 ? dir + "/x" : file) == "x");
    }
  }

  TEST_CASE("moves: random renames, links and removals against a model, over a restart") {
    Cluster cluster(3);
    std::mt19937 random(20261121);
    std::map<std::string, int> names;  // name: file number
    std::map<int, std::uint32_t> links;
    int files = 0;
    for (int life = 0; life < 2; ++life) {
      {
        Session session(cluster);
        if (life == 0) REQUIRE(mkdir_of(session, "/d") == 0);
        const auto name = [&] {
          const auto number = random() % 20;
          return (number % 2 == 0 ? "/d/" : "/") + std::string("n") + std::to_string(number);
        };
        for (int step = 0; step < 400; ++step) {
          const std::string from = name(), to = name();
          const bool has_from = names.contains(from), has_to = names.contains(to);
          switch (random() % 5) {
            case 0: {
              if (has_from) break;
              write_file(session, from, std::to_string(++files));
              names[from] = files;
              links[files] = 1;
              break;
            }
            case 1: {
              const int error = benchfs_unlink(session, from.c_str());
              CHECK(error == (has_from ? 0 : -ENOENT));
              if (has_from) --links[names[from]];
              names.erase(from);
              break;
            }
            case 2: {
              const int error = benchfs_link(session, from.c_str(), to.c_str());
              CHECK(error == (!has_from ? -ENOENT : has_to ? -EEXIST : 0));
              if (error != 0) break;
              names[to] = names[from];
              ++links[names[to]];
              break;
            }
            case 3: {
              const int error = rename_of(session, from, to);
              CHECK(error == (has_from ? 0 : -ENOENT));
              if (!has_from || from == to) break;
              if (has_to && names[to] == names[from]) break;
              if (has_to) --links[names[to]];
              names[to] = names[from];
              names.erase(from);
              break;
            }
            default: {
              const int error = rename_of(session, from, to, BENCHFS_RENAME_EXCHANGE);
              CHECK(error == (has_from && has_to ? 0 : -ENOENT));
              if (error == 0) std::swap(names[from], names[to]);
            }
          }
        }
        for (const auto& [path, number] : names) {
          CHECK(text_of(session, path) == std::to_string(number));
          CHECK(session.stat(path).nlink == links[number]);
        }
        CHECK(count_of(session, "/d") + count_of(session, "/") == names.size() + 1);
      }
      cluster.stop();
      cluster.start();
    }
    Session session(cluster);
    for (const auto& [path, number] : names) {
      CHECK(text_of(session, path) == std::to_string(number));
      CHECK(session.stat(path).nlink == links[number]);
    }
  }
}

}  // namespace
}  // namespace benchfs::test
