// What is remembered on this device, in browsers that remember anything.

export const kept = {
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
      // It holds until the page is left.
    }
  },
};
