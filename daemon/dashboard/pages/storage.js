// Local storage, in browsers that allow it.

export const storage = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },

  set(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Without storage it lasts until the page is closed.
    }
  },
};
