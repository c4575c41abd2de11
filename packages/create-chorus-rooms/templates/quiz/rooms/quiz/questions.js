// The questions. `right` is the place of the right option, which is in no view before the answer is shown.

/** @type {{ text: string, options: string[], right: number }[]} */
export const QUESTIONS = [
  { text: "Which planet has the shortest year?", options: ["Venus", "Mercury", "Mars", "Earth"], right: 1 },
  { text: "How many fields has a chessboard?", options: ["32", "49", "64", "81"], right: 2 },
  { text: "Which metal is liquid at room temperature?", options: ["Mercury", "Lead", "Tin", "Zinc"], right: 0 },
  { text: "Which river flows through four capitals?", options: ["Rhine", "Elbe", "Volga", "Danube"], right: 3 },
  { text: "Which animal has three hearts?", options: ["Whale", "Octopus", "Giraffe", "Eel"], right: 1 },
  { text: "Which of these numbers is prime?", options: ["51", "57", "59", "63"], right: 2 },
  { text: "Who published the first program for a machine?", options: ["Ada Lovelace", "Alan Turing", "Grace Hopper", "Konrad Zuse"], right: 0 },
  { text: "Which gas makes up most of the air?", options: ["Oxygen", "Argon", "Carbon dioxide", "Nitrogen"], right: 3 },
  { text: "Which instrument usually has 88 keys?", options: ["Accordion", "Piano", "Organ", "Celesta"], right: 1 },
  { text: "How many bones has an adult?", options: ["106", "156", "206", "256"], right: 2 },
  { text: "Which country has the most time zones?", options: ["France", "Russia", "China", "Canada"], right: 0 },
  { text: "Which colour of light has the longest waves?", options: ["Blue", "Green", "Yellow", "Red"], right: 3 },
];
